const place = document.getElementById("view");
const { orientation, calls } = JSON.parse(document.getElementById("scene").textContent);
const view = {
  stage: new NGL.Stage(place, { backgroundColor: "white", sampleLevel: 1 }),
  el: place,
  $pickingInfo: { hide() {} },
  remove() {},
  send({ type, data }) {
    if (type === "scene_ready" && orientation.length === 16) view.stage.viewerControls.orient(orientation);
    if (type === "scene_error") document.getElementById("hit").textContent = data;
  },
};
drawScene.call(view);
for (const [method, argument] of calls) view.glassScene[method](argument);
view.stage.signals.clicked.add((hit) => {
  if (hit?.atom) document.getElementById("hit").textContent = `atom ${hit.atom.index} (${hit.atom.element})`;
});
addEventListener("resize", () => view.stage.handleResize());
