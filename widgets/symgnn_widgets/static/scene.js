// The scene of one viewer. Evaluated by nglview, where `this` is the view and `NGL` the library.
// Everything here is told by the kernel and can be told again: that is how a reloaded page gets its picture back.
((view) => {
  if (view.glassScene) return;

  const stage = view.stage;
  const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const packed = (values) => btoa(String.fromCharCode(...new Uint8Array(values.buffer, values.byteOffset, values.byteLength)));
  const floats = (text) => new Float32Array(bytes(text).buffer);

  const TURN = Math.PI / 24, ZOOM = 0.1;
  const NEARLY_INVISIBLE = 0.05, SHINING_OPACITY = 0.5, CUT_DARKENING = 0.3;
  const FADED = 1, SHOWN = 2, FADED_OPACITY = 0.1;
  const PAPER = { light: "white", dark: "#111111" }, INK_BELOW = 0.15, INK_IN_DARK = 0.9;

  // What draws, by the name that the browser gives it.
  const drawnBy = (gl) => {
    const told = gl.getExtension("WEBGL_debug_renderer_info");
    return String(gl.getParameter(told ? told.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  };

  // A page of its own has no theme: it is light.
  const theme = globalThis.symgnnTheme;
  let dark = theme?.isDark() ?? false;
  const paper = () => stage.setParameters({ backgroundColor: dark ? PAPER.dark : PAPER.light });
  // Black lines are drawn light on a dark page.
  const ink = (colours) => {
    if (!dark) return colours;
    for (let i = 0; i < colours.length; i += 3) {
      if (Math.max(colours[i], colours[i + 1], colours[i + 2]) < INK_BELOW) colours.fill(INK_IN_DARK, i, i + 3);
    }
    return colours;
  };

  let rgb = new Uint8Array();
  let atoms = null;
  let numbers = null; // of the atoms that are drawn, where these are a part of the glass
  const numberOf = (index) => numbers?.[index] ?? index;
  const perAtomColour = NGL.ColormakerRegistry.addScheme(function () {
    this.atomColor = (atom) => {
      const first = 3 * atom.index;
      return (rgb[first] << 16) | (rgb[first + 1] << 8) | rgb[first + 2];
    };
  });

  // The camera's distance depends on the size of the picture, which a page may give it late.
  let framed = false, firstView = null;
  const frame = () => {
    stage.handleResize();
    if (framed || !atoms || stage.viewer.container.clientWidth < 50) return;
    framed = true;
    atoms.autoView();
    firstView = stage.viewerControls.getOrientation();
  };

  // Where a place of the structure is now, as it is turned and moved.
  const placed = (positions, i = 0) => {
    const { camera, translationGroup, rotationGroup } = stage.viewer;
    const place = camera.position.clone().fromArray(positions, 3 * i);
    return place.add(translationGroup.position).applyQuaternion(rotationGroup.quaternion);
  };

  // What stands between the reader and the selected atom is cut away: the glass is clipped in front of it, however it
  // is turned. NGL counts in per cent of half its scene's size, 50 being the depth of the centre.
  const LEAST_CUT = 1e-3, IN_FRONT = 0.5; // Å
  let cutTo = null; // centre and radius of the atom
  const cutAway = () => {
    let clipNear = 0;
    if (cutTo) {
      // The camera looks at the origin.
      const { camera, bRadius } = stage.viewer;
      const nearer = placed(cutTo.position).dot(camera.position) / camera.position.length() + cutTo.radius + IN_FRONT;
      clipNear = Math.min(Math.max(50 - 50 * nearer / bRadius, LEAST_CUT), 100);
    }
    for (const { repr } of atoms?.reprList ?? []) {
      // Said once, so that shaders are made for it; where the plane is, is the materials' own.
      if (!repr.clipNear !== !clipNear) repr.setParameters({ clipNear });
      for (const { material, pickingMaterial } of repr.bufferList) {
        material.clipNear = clipNear;
        pickingMaterial.clipNear = clipNear;
      }
    }
  };

  // What is drawn on top of the glass and stands for atoms: positions, radii and atoms by name.
  const marks = new Map();

  // The foremost marked atom at a place of the canvas (pixels, from below), or -1.
  const markedAt = (x, y) => {
    const { camera, width, height } = stage.viewer;
    let found = -1, foremost = Infinity;
    for (const { position, radius, atoms } of marks.values()) {
      atoms.forEach((atom, i) => {
        const centre = placed(position, i), rim = centre.clone();
        rim.x += radius[i];
        centre.project(camera);
        const reach = Math.abs(rim.project(camera).x - centre.x) * width / 2;
        const away = Math.hypot((centre.x + 1) * width / 2 - x, (centre.y + 1) * height / 2 - y);
        if (away <= reach && centre.z < foremost) [found, foremost] = [atom, centre.z];
      });
    }
    return found;
  };

  // NGL draws nothing under an opacity of 0.3 where it looks for what was clicked, so faded atoms are opaque there.
  const pickable = (drawn) =>
    drawn.bufferList.forEach(({ pickingMaterial }) => { pickingMaterial.uniforms.opacity.value = 1; });
  const pick = stage.pickingControls.pick.bind(stage.pickingControls);
  const atomUnder = (x, y) => {
    atoms?.reprList.forEach(({ repr }) => pickable(repr));
    return pick(x, y);
  };
  // The atom that a place means, or -1: a marked one, whatever faded atom is in front of it, else what is seen there.
  const atomAt = (x, y) => {
    const marked = markedAt(x, y);
    if (marked >= 0) return marked;
    const atom = atomUnder(x, y)?.atom;
    return atom ? numberOf(atom.index) : -1;
  };
  // Told in messages of our own: nglview's is a state, in which a second click on an atom can be no change.
  stage.pickingControls.pick = (x, y) => {
    const atom = atomAt(x, y), { shiftKey, ctrlKey, metaKey } = stage.mouseObserver;
    if (atom >= 0) view.send({ type: "scene_pick", data: { atom, add: shiftKey || ctrlKey || metaKey } });
  };

  // Pictures are asynchronous; what comes later waits for them.
  let queue = Promise.resolve();
  const next = (step) => {
    queue = queue.then(step).catch((error) => view.send({ type: "scene_error", data: String(error) }));
  };

  // What NGL makes of a file, without one: the atoms of a glass, one to a residue.
  const structureOf = ({ positions, species, symbols, radii }) => {
    const structure = new NGL.Structure("glass", ""), place = floats(positions), kind = bytes(species);
    const { atomStore, residueStore, chainStore, modelStore, atomMap, residueMap } = structure, count = kind.length;
    const named = symbols.map((symbol) => symbol.toUpperCase());
    const types = named.map((name) => atomMap.add(name, name));
    const residues = named.map((name, i) => residueMap.add(name, [types[i]], true));
    for (const [store, size] of [[atomStore, count], [residueStore, count], [chainStore, 1], [modelStore, 1]]) {
      store.resize(size);
      store.count = size;
    }
    for (let i = 0; i < count; i++) {
      const k = kind[i];
      [atomStore.x[i], atomStore.y[i], atomStore.z[i]] = [place[3 * i], place[3 * i + 1], place[3 * i + 2]];
      [atomStore.atomTypeId[i], atomStore.bfactor[i], atomStore.residueIndex[i]] = [types[k], radii[k], i];
      [residueStore.atomOffset[i], residueStore.atomCount[i], residueStore.residueTypeId[i]] = [i, 1, residues[k]];
      atomStore.serial[i] = residueStore.resno[i] = i + 1;
    }
    chainStore.setChainname(0, "A");
    chainStore.setChainid(0, "A");
    chainStore.residueCount[0] = count;
    modelStore.chainCount[0] = 1;
    structure.finalizeAtoms();
    structure.finalizeBonds();
    return structure;
  };

  const removeByName = (name) =>
    stage.getComponentsByName(name).list.slice().forEach((component) => stage.removeComponent(component));

  // What was drawn last by each name, to draw it again in another theme.
  const drawn = new Map();
  const useTheme = (isDark) => {
    if (dark === isDark) return;
    dark = isDark;
    paper();
    drawn.forEach(put);
  };

  // The first sphere once more, translucent and in front of everything, so that no important atom hides it either.
  const shining = (name) => `${name} shining`;
  const shineThrough = (name, { position, colour, radius }) => {
    const shape = new NGL.Shape(shining(name));
    shape.addBuffer(new NGL.SphereBuffer({
      position: floats(position).subarray(0, 3), color: floats(colour).subarray(0, 3), radius: floats(radius).subarray(0, 1),
    }));
    const look = { opacity: SHINING_OPACITY, depthWrite: false, disablePicking: true };
    const { repr } = stage.addComponentFromObject(shape).addRepresentation("buffer", look);
    for (const { material } of repr.bufferList) material.depthTest = false;
  };

  // Raw buffers let clicks through to the atoms; shapes drawn one by one would swallow them.
  const put = ({ name, spheres, cylinders, arrows, triangles, translucent, shines }) => {
    removeByName(name);
    removeByName(shining(name));
    const shape = new NGL.Shape(name);
    if (spheres) {
      shape.addBuffer(new NGL.SphereBuffer({
        position: floats(spheres.position), color: floats(spheres.colour), radius: floats(spheres.radius),
      }));
    }
    if (cylinders) {
      const colour = ink(floats(cylinders.colour));
      shape.addBuffer(new NGL.CylinderBuffer({
        position1: floats(cylinders.start), position2: floats(cylinders.end),
        color: colour, color2: colour, radius: floats(cylinders.radius),
      }, { openEnded: false }));
    }
    if (arrows) {
      shape.addBuffer(new NGL.ArrowBuffer({
        position1: floats(arrows.start), position2: floats(arrows.end),
        color: floats(arrows.colour), radius: floats(arrows.radius),
      }, { aspectRatio: 2, openEnded: false }));
    }
    if (triangles) {
      shape.addBuffer(new NGL.MeshBuffer({ position: floats(triangles.position), color: floats(triangles.colour) }));
    }
    if (spheres || cylinders || arrows || triangles) {
      stage.addComponentFromObject(shape).addRepresentation("buffer", translucent ? { opacity: translucent } : {});
    }
    if (shines && spheres) shineThrough(name, spheres);
  };

  // A shader goes with the last thing that is drawn with it, and making it again takes a tenth of a second: something too
  // small to be seen keeps those of what comes and goes with each click.
  const keepShaders = (positions) => {
    const place = packed(positions.subarray(0, 3)), colour = packed(new Float32Array(3)), radius = packed(new Float32Array([1e-6]));
    put({
      name: "shaders", shines: true, spheres: { position: place, colour, radius },
      cylinders: { start: place, end: place, colour, radius },
    });
  };

  // The skin of the region where a field on a grid (first index fastest) is above a level. Beyond the grid it is below,
  // so that the skin is closed where the region meets a face of the cell.
  const skin = (field, [nx, ny, nz], matrix, level) => {
    const closed = new Float32Array((nx + 2) * (ny + 2) * (nz + 2)).fill(-1e6);
    for (let z = 0; z < nz; z++) for (let y = 0; y < ny; y++) {
      closed.set(field.subarray((z * ny + y) * nx, (z * ny + y + 1) * nx), ((z + 1) * (ny + 2) + y + 1) * (nx + 2) + 1);
    }
    const volume = new NGL.Volume("regions", "", closed, nx + 2, ny + 2, nz + 2);
    const oneStepBack = new NGL.Matrix4().makeTranslation(-1, -1, -1);
    volume.setMatrix(new NGL.Matrix4().fromArray(matrix).multiply(oneStepBack));
    const surface = volume.getSurface(level, 0);
    surface.name = "regions";
    return surface;
  };

  const scene = {
    stage,

    load(glass) {
      next(() => {
        removeByName("glass");
        numbers = glass.numbers ? new Int32Array(bytes(glass.numbers).buffer) : null;
        atoms = stage.addComponentFromObject(structureOf(glass), { name: "glass" });
        const cutFaces = { useInteriorColor: false, diffuseInterior: true, interiorDarkening: CUT_DARKENING };
        const look = { color: perAtomColour, radiusType: "bfactor", radiusScale: 1, ...cutFaces };
        atoms.addRepresentation("spacefill", look);
        // Atoms that a filter fades; none at first.
        atoms.addRepresentation("spacefill", { ...look, sele: "none", opacity: FADED_OPACITY });
        framed = false;
        frame();
        keepShaders(floats(glass.positions));
        view.el.dataset.scene = "ready";
        view.send({ type: "scene_ready" });
      });
    },

    // Said before the structure is loaded, too: it then takes these colours from the start.
    colour({ colours }) {
      next(() => {
        rgb = bytes(colours);
        atoms?.updateRepresentations({ color: true });
      });
    },

    // Other places and colours of the same atoms: another frame of a trajectory.
    move({ positions, colours }) {
      next(() => {
        rgb = bytes(colours);
        atoms.structure.updatePosition(floats(positions));
        atoms.updateRepresentations({ position: true, color: true });
      });
    },

    // One byte an atom says how it is drawn; without them all are.
    filter({ drawn }) {
      next(() => {
        const kinds = drawn ? bytes(drawn) : null;
        const of = (kind) => {
          const indices = [];
          kinds.forEach((value, index) => value === kind && indices.push(index));
          return indices.length ? "@" + indices.join(",") : "none";
        };
        atoms.reprList[0].setSelection(kinds ? of(SHOWN) : "");
        atoms.reprList[1].setSelection(kinds ? of(FADED) : "none");
        cutAway();
      });
    },

    // `opacity` is that of the atoms of the glass, `translucent` that of what is drawn.
    // Of the atoms of the glass, `cut` cuts away those in front of the first sphere.
    draw({ name, spheres, cylinders, arrows, triangles, opacity, translucent, explained, cut }) {
      next(() => {
        marks.delete(name);
        // Whose explanation is drawn, for whoever watches the page.
        if (name === "selection") view.el.dataset.explained = explained ?? "";
        if (spheres?.atom) {
          const atom = new Int32Array(bytes(spheres.atom).buffer);
          marks.set(name, { position: floats(spheres.position), radius: floats(spheres.radius), atoms: atom });
        }
        // What is nearly invisible hides nothing behind it.
        if (opacity !== undefined) atoms.reprList[0].setParameters({ opacity, depthWrite: opacity > NEARLY_INVISIBLE });
        if (cut !== undefined) {
          const { position, radius } = marks.get(name) ?? {};
          cutTo = cut && position?.length ? { position: position.subarray(0, 3), radius: radius[0] } : null;
          cutAway();
        }
        const what = { name, spheres, cylinders, arrows, triangles, translucent, shines: cut !== undefined };
        drawn.set(name, what);
        put(what);
      });
    },

    // Translucent skins around the regions where a field is above a level, or below it.
    regions({ field, size, matrix, skins, opacity }) {
      next(() => {
        removeByName("regions");
        for (const { above, level, colour } of skins) {
          const sign = above ? 1 : -1;
          const surface = skin(floats(field).map((value) => sign * value), size, matrix, sign * level);
          stage.addComponentFromObject(surface).addRepresentation(
            "surface", { color: colour, opacity, side: "double", opaqueBack: false, disablePicking: true });
        }
      });
    },

    // The atom that a click at a place of the canvas means, or -1.
    atomAt,
    numberOf,

    look(name) {
      next(() => stage.getComponentsByName(name).list.forEach((component) => component.autoView(500)));
    },

    // Back to where the camera was at first, its orientation too.
    reset() {
      next(() => {
        stage.viewerControls.orient(firstView);
        atoms.autoView(300);
      });
    },

    picture() {
      next(async () => {
        // Pictures are for white paper, whatever the page looks like.
        const before = dark;
        useTheme(false);
        const blob = await stage.makeImage({ factor: 2, antialias: true, trim: false, transparent: false });
        useTheme(before);
        const reader = new FileReader();
        reader.onload = () => view.send({ type: "scene_picture", data: reader.result.split(",")[1] });
        reader.readAsDataURL(blob);
      });
    },
  };

  // The view by keyboard: it can be reached with Tab, and JupyterLab leaves its keys alone.
  const turn = (x, y) => stage.viewerControls.spin(new NGL.Vector3(x, y, 0), TURN);
  const zoom = (step) => stage.viewerControls.zoom(step);
  const keys = {
    ArrowLeft: () => turn(0, -1), ArrowRight: () => turn(0, 1), ArrowUp: () => turn(-1, 0), ArrowDown: () => turn(1, 0),
    "+": () => zoom(ZOOM), "=": () => zoom(ZOOM), "-": () => zoom(-ZOOM), Home: () => scene.reset(),
  };
  const { container } = stage.viewer;
  container.tabIndex = 0;
  container.setAttribute("role", "application");
  container.setAttribute("aria-label", "3D view of the glass. Arrow keys turn it, + and - zoom, Home shows the whole.");
  container.setAttribute("data-lm-suppress-shortcuts", "true");
  container.addEventListener("keydown", (event) => {
    const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  });

  // A click selects an atom here; it must not move the camera. Hovering would cost a picking pass on every rest of the mouse.
  stage.mouseControls.remove("clickPick-left");
  stage.setParameters({ hoverTimeout: -1, clipNear: 0, fogNear: 55, fogFar: 100 });
  // NGL draws a picture that rests once more, eight times as finely: where no graphics card does it, that takes a second,
  // which the next click would wait for.
  if (/swiftshader|llvmpipe|softpipe|software|basic render/i.test(drawnBy(stage.viewer.renderer.getContext()))) {
    stage.setParameters({ sampleLevel: -1 });
  }
  paper();
  const unwatch = theme?.watch((isDark) => next(() => useTheme(isDark)));
  stage.viewerControls.signals.changed.add(cutAway);
  const observer = new ResizeObserver(frame);
  observer.observe(container);

  // nglview's own label counts atoms from 1; the index from 0 stands in the explorer.
  view.$pickingInfo.hide();

  // A browser allows a page about 16 WebGL contexts: give this one back with the view.
  const remove = view.remove.bind(view);
  view.remove = () => {
    observer.disconnect();
    unwatch?.();
    stage.viewer.render = () => {}; // frames may still be due
    stage.dispose();
    stage.viewer.renderer.forceContextLoss();
    return remove();
  };

  view.glassScene = scene;
  view.el.classList.add("symgnn-structure");
  view.el.glassScene = scene;
})(this);
