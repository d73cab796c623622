// ipywidgets says what a control is for over its name alone, and of some kinds nowhere; here the whole control says it.
export default {
  render({ model, el }) {
    let observer = null;
    const start = () => {
      // The page takes it in only after it has been rendered.
      const explorer = el.closest(".symgnn-explorer");
      if (!explorer) return;
      attached.disconnect();
      const spread = () => {
        const named = model.get("named");
        for (const label of explorer.querySelectorAll(".widget-label")) {
          const own = label.title === "null" ? "" : label.title, control = label.parentElement;
          const title = own || named[label.textContent];
          if (title && control.title !== title) control.title = title;
        }
        // A box to tick only repeats its name.
        for (const label of explorer.querySelectorAll(".widget-checkbox .widget-label-basic")) {
          const title = named[label.textContent.trim()];
          for (const part of title ? [label.closest(".widget-checkbox"), ...label.querySelectorAll("[title]")] : []) {
            if (part.title !== title) part.title = title;
          }
        }
        for (const tab of explorer.querySelectorAll(".lm-TabBar-tab, .p-TabBar-tab")) {
          const title = model.get("tabs")[tab.textContent.trim()];
          if (title && tab.title !== title) tab.title = title;
        }
      };
      observer = new MutationObserver(spread);
      observer.observe(explorer, { subtree: true, childList: true, attributes: true, attributeFilter: ["title"] });
      spread();
      model.on("change:named change:tabs", spread);
    };
    const attached = new ResizeObserver(start);
    attached.observe(el);
    return () => {
      attached.disconnect();
      observer?.disconnect();
    };
  },
};
