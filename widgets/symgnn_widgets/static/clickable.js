// Shows HTML; tells the kernel which of its marked parts was clicked, or chosen with Enter.
export default {
  render({ model, el }) {
    const show = () => { el.innerHTML = model.get("value"); };
    const tell = (event) => {
      const part = event.target.closest("[data-action]");
      if (!part || (event.type === "keydown" && event.key !== "Enter")) return;
      event.preventDefault();
      model.send({ action: part.dataset.action, number: Number(part.dataset.number) });
    };
    el.addEventListener("click", tell);
    el.addEventListener("keydown", tell);
    model.on("change:value", show);
    show();
  },
};
