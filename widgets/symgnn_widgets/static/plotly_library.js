// Brings plotly into the page, once, when the widgets that were made with this one have started.
export default {
  render({ model }) {
    if (globalThis.symgnnPlotlyAsked) return;
    globalThis.symgnnPlotlyAsked = true;
    setTimeout(() => {
      const address = URL.createObjectURL(new Blob([model.get("code")], { type: "text/javascript" }));
      import(address).finally(() => URL.revokeObjectURL(address));
    }, 100);
  },
};
