// An extension of JupyterLab that runs the notebook which it was started on, where its kernel has run nothing yet, so that
// the explorer is there without a key being pressed. Only servers that are told of this folder load it (make explore, and
// symgnn-explain explore); notebooks that are opened later are left alone. It is written as what bundlers make of an
// extension, as it needs none of JupyterLab's own modules.
(() => {
  const NAME = "symgnn-run-first", LOOK_EVERY = 200, GIVE_UP_AFTER = 120_000; // ms

  const pause = () => new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));

  // What a look finds, once it finds anything; nothing where it takes too long.
  const once = async (look) => {
    for (const end = Date.now() + GIVE_UP_AFTER; Date.now() < end; await pause()) {
      const found = look();
      if (found) return found;
    }
    return null;
  };

  const isUnused = async (kernel) => {
    const { content } = await kernel.requestExecute(
      { code: "", silent: true, store_history: false, user_expressions: { lines: "len(In)" } }).done;
    return content.user_expressions?.lines?.data?.["text/plain"] === "1";
  };

  const activate = async (app) => {
    await app.restored;
    const { treePath } = JSON.parse(document.getElementById("jupyter-config-data").textContent);
    const isFirst = ({ context, content }) => treePath && context?.path === treePath && content?.model?.cells;
    const notebook = await once(() => [...app.shell.widgets("main")].find(isFirst));
    const kernelOf = () => notebook.sessionContext?.session?.kernel;
    const kernel = notebook && await once(() => kernelOf()?.status === "idle" && kernelOf());
    // A page that is loaded again finds its kernel as it left it.
    if (!kernel || !(await isUnused(kernel))) return;
    app.shell.activateById(notebook.id);
    await app.commands.execute("notebook:run-all-cells");
  };

  const plugin = { id: `${NAME}:plugin`, autoStart: true, activate: (app) => { activate(app); } };
  const modules = { "./extension": plugin };
  globalThis._JUPYTERLAB ??= {};
  globalThis._JUPYTERLAB[NAME] = { init: () => {}, get: async (name) => () => modules[name] };
})();
