// nglview ships NGL as modules of a bundle; what they need of the bundle's loader is this.
(() => {
  const modules = {}, loaded = {};
  self[CHUNKS] = { push: ([, more]) => Object.assign(modules, more) };
  const load = (id) => {
    if (loaded[id]) return loaded[id].exports;
    const module = (loaded[id] = { id, exports: {} });
    modules[id]?.call(module.exports, module, module.exports, load); // Node's process is not in a browser
    return module.exports;
  };
  load.g = globalThis;
  load.r = () => {};
  load.nmd = (module) => module;
  load.d = (exports, getters) => {
    for (const name in getters) Object.defineProperty(exports, name, { enumerable: true, get: getters[name] });
  };
  self.loadNgl = () => load(Object.keys(modules).find((id) => modules[id].toString().includes("ColormakerRegistry:")));
})();
