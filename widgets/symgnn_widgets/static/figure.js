// Draws one plotly figure, at the size that the page gives it. The library comes once, with a widget of its own.
const theme = globalThis.symgnnTheme;
const library = (globalThis.symgnnPlotly ??= Promise.withResolvers());

// Figures of one group are seen from one side: turning one turns the others. By the group's name.
const groups = (globalThis.symgnnCameras ??= new Map());
const cameras = (globalThis.symgnnLastCameras ??= new Map()); // of each group

// Set from outside it is no news of the figure's own, so that nothing goes round in circles.
const turnTo = (place, camera) => {
  const { scene } = place._fullLayout ?? {};
  scene?._scene?.setViewport({ ...scene, camera });
};

const LONGEST_WAIT = 500; // ms
// Nothing offers to upload figures, and a dollar in a name is a dollar.
const CONFIG = { displaylogo: false, modeBarButtonsToRemove: ["sendChartToCloud"], typesetMath: false };

// After some frames, in which the 3D view is drawn, as soon as the page has nothing else to do. Not every browser tells when.
const FRAMES_BEFORE = 3;
const whenIdle = (step) => {
  let left = FRAMES_BEFORE, due = 0, forget = cancelAnimationFrame;
  const wait = () => {
    if (left-- > 0) due = requestAnimationFrame(wait);
    else if (globalThis.requestIdleCallback) {
      forget = cancelIdleCallback;
      due = requestIdleCallback(step, { timeout: LONGEST_WAIT });
    } else {
      forget = clearTimeout;
      due = setTimeout(step, LONGEST_WAIT / 5);
    }
  };
  wait();
  return () => forget(due);
};

export default {
  async render({ model, el }) {
    el.classList.add("symgnn-figure");
    const place = document.createElement("div"), said = document.createElement("div");
    said.className = "symgnn-empty";
    const isEmpty = () => !model.get("figure").data?.length;
    const say = () => { said.textContent = isEmpty() ? model.get("note") : "Being drawn …"; };
    say();
    model.on("change:note", say);
    el.replaceChildren(place, said);
    // A figure that is gone is hidden, not removed: making WebGL anew for the next one would take the most of its time.
    const uncover = () => {
      say();
      place.style.visibility = isEmpty() ? "hidden" : "";
      said.hidden = !isEmpty();
    };
    if (isEmpty()) uncover();
    const plotly = await library.promise;
    const group = model.get("camera_group");
    const others = () => [...(groups.get(group) ?? [])].filter((other) => other !== place);
    if (group) groups.set(group, (groups.get(group) ?? new Set()).add(place));

    const turn = (change) => {
      const camera = change["scene.camera"];
      if (!camera) return;
      cameras.set(group, camera);
      for (const other of others()) turnTo(other, camera);
    };
    // On a slow page a plot goes on turning after it has said that it was turned.
    const turnUntilAtRest = (before = "") => requestAnimationFrame(() => {
      const camera = place._fullLayout?.scene?._scene?.getCamera(), now = JSON.stringify(camera);
      if (!camera || now === before) return;
      turn({ "scene.camera": camera });
      turnUntilAtRest(now);
    });
    const numbers = (event) => (event?.points ?? []).map((point) => point.customdata).filter((number) => number != null);
    const listen = () => {
      place.on("plotly_click", (event) => {
        const [number] = numbers(event);
        if (number != null) model.send({ action: "click", numbers: [number] });
      });
      place.on("plotly_selected", (event) => {
        const chosen = [...new Set(numbers(event))];
        if (chosen.length) model.send({ action: "select", numbers: chosen });
      });
      if (group) {
        place.on("plotly_relayouting", turn);
        place.on("plotly_relayout", (change) => {
          turn(change);
          if (change["scene.camera"]) turnUntilAtRest();
        });
      }
    };

    let listening = false;
    const draw = async () => {
      const width = el.clientWidth, height = el.clientHeight;
      if (width <= 0 || height <= 0 || isEmpty()) return;
      const { data, layout } = theme.of(model.get("figure"));
      const drawn = plotly.react(place, data, { ...layout, width, height }, CONFIG);
      if (!listening) { // before it is drawn: it can be turned as soon as it is seen
        listening = true;
        listen();
      }
      await drawn;
      if (cameras.has(group)) turnTo(place, cameras.get(group));
      uncover();
    };
    // The 3D view comes first; of figures that follow each other at once, only the last is drawn.
    let forget = () => {};
    const drawInTime = () => {
      if (isEmpty()) uncover();
      else say();
      forget();
      forget = whenIdle(draw);
    };
    // Drawn once it has a size, and again with every other one.
    const observer = new ResizeObserver(draw);
    observer.observe(el);
    model.on("change:figure", drawInTime);
    // While its theme changes, JupyterLab hides the page, and may show it again before a change of size is noticed.
    const redraw = (tries = 50) => {
      if (el.clientWidth > 0) draw();
      else if (tries > 0) setTimeout(redraw, 200, tries - 1);
    };
    const unwatch = theme.watch(() => redraw());

    return () => {
      forget();
      observer.disconnect();
      unwatch();
      groups.get(group)?.delete(place);
      plotly.purge(place);
    };
  },
};
