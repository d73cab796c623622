// The room that the explorer has: as high as the part of the page that scrolls, or the whole window.
const LEAST = 480, MARGIN = 12; // px
// What scrolls in JupyterLab; elsewhere the window does.
const SCROLLER = ".jp-WindowedPanel-outer, .jp-Notebook, .jp-LinkedOutputView";

export default {
  render({ model, el }) {
    let explorer = null, scroller = null;
    const room = () => {
      if (scroller) return scroller.clientHeight;
      return innerHeight - explorer.getBoundingClientRect().top - scrollY; // what stands above stays in sight
    };
    const fit = () => explorer.style.setProperty("--symgnn-height", `${Math.max(room() - MARGIN, LEAST)}px`);

    // In the top layer nothing of the page clips it or lies over it, whatever it is inside of.
    const fill = () => {
      if (!explorer) return;
      const full = model.get("full");
      explorer.classList.toggle("symgnn-full", full);
      if (full && !explorer.popover) {
        explorer.popover = "manual";
        explorer.showPopover();
      } else if (!full && explorer.popover) {
        explorer.hidePopover();
        explorer.removeAttribute("popover");
      }
    };
    const leave = (event) => {
      if (event.key !== "Escape" || !model.get("full")) return;
      model.set("full", false);
      model.save_changes();
    };

    // Brought into sight once, when it has been made: not when a page is loaded again, or another cell is run.
    const show = () => {
      if (model.get("seen") || !scroller) return;
      model.set("seen", true);
      model.save_changes();
      const structure = explorer.querySelector(".symgnn-structure");
      const into = () => explorer.scrollIntoView({ block: "start" });
      into();
      // JupyterLab scrolls to the next cell meanwhile.
      const drawn = new MutationObserver(() => { drawn.disconnect(); into(); });
      if (structure) drawn.observe(structure, { attributeFilter: ["data-scene"] });
    };

    // The page takes it in only after it has been rendered.
    const attached = new ResizeObserver(() => {
      explorer = el.closest(".symgnn-explorer");
      if (!explorer) return;
      attached.disconnect();
      scroller = explorer.closest(SCROLLER);
      fit();
      fill();
      followed.observe(scroller ?? document.documentElement);
      addEventListener("resize", fit);
      explorer.addEventListener("keydown", leave);
      show();
    });
    const followed = new ResizeObserver(fit);
    attached.observe(el);
    model.on("change:full", fill);
    return () => {
      attached.disconnect();
      followed.disconnect();
      removeEventListener("resize", fit);
      explorer?.removeEventListener("keydown", leave);
    };
  },
};
