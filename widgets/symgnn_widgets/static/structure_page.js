const hit = document.getElementById("hit");
const data = (name) => JSON.parse(document.getElementById(name).textContent);

// nglview's bundle is a module that asks for the base classes of ipywidgets, of which NGL needs none.
const loadNgl = async () => {
  let bundle;
  globalThis.define = (_needs, make) => { bundle = make({ DOMWidgetModel: class {}, DOMWidgetView: class {} }); };
  globalThis.importScripts = true; // else it asks for the address of its own script, which has none
  const packed = Uint8Array.from(atob(data("nglview")), (character) => character.charCodeAt(0));
  const code = document.createElement("script");
  code.textContent = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  document.head.append(code);
  delete globalThis.importScripts;
  return bundle.NGL;
};

const draw = (NGL) => {
  const place = document.getElementById("view"), { orientation, calls } = data("scene");
  const view = {
    stage: new NGL.Stage(place, { backgroundColor: "white", sampleLevel: 1 }),
    el: place,
    $pickingInfo: { hide() {} },
    remove() {},
    send({ type, data }) {
      if (type === "scene_ready" && orientation.length === 16) view.stage.viewerControls.orient(orientation);
      if (type === "scene_error") hit.textContent = data;
    },
  };
  drawScene.call(view, NGL);
  for (const [method, argument] of calls) view.glassScene[method](argument);
  view.stage.signals.clicked.add((found) => {
    if (found?.atom) hit.textContent = `atom ${view.glassScene.numberOf(found.atom.index)} (${found.atom.element})`;
  });
  addEventListener("resize", () => view.stage.handleResize());
};

loadNgl().then(draw).catch((error) => { hit.textContent = `The 3D view could not be drawn (${error}).`; });
