// Draws one plotly figure, at the width that the page gives it. The library comes once, with a widget of its own.
const library = (globalThis.symgnnPlotly ??= Promise.withResolvers());

export default {
  async render({ model, el }) {
    const plotly = await library.promise;
    const place = document.createElement("div");
    el.replaceChildren(place);

    const draw = () => {
      const width = el.clientWidth;
      const { data, layout } = model.get("figure");
      if (width > 0) plotly.react(place, data, { ...layout, width }, { displaylogo: false });
    };
    // Drawn once it has a width, and again with every other one.
    const observer = new ResizeObserver(draw);
    observer.observe(el);
    model.on("change:figure", draw);

    return () => {
      observer.disconnect();
      plotly.purge(place);
    };
  },
};
