"use strict";
// Starts the page: theme, tabs, map, loading of points, and the messages.

mivae.App = class {
  async start() {
    this.#theme();
    this.#tabs();
    this.source = mivae.openSource();
    this.picking = null;
    await this.attempt(null, async () => {
      this.overview = await this.source.overview();
      this.#header();
      this.#map();
      this.#panels();
      this.#tools();
      await this.#load();
    });
  }

  // Runs an action of the user; an error is shown as a message, `form` is marked as busy meanwhile.
  async attempt(form, action) {
    const message = mivae.byId("message");
    form?.setAttribute("aria-busy", "true");
    form?.classList.add("busy");
    try {
      await action();
      message.hidden = true;
    } catch (error) {
      message.textContent = error.message;
      message.hidden = false;
    } finally {
      form?.removeAttribute("aria-busy");
      form?.classList.remove("busy");
    }
  }

  // ---- what the panels ask for ----

  select(index) {
    this.openTab("sentence");
    return this.attempt(null, () => this.sentence.select(index));
  }

  // Shows a decoded sentence (a row with or without an index) on the map.
  show(row) {
    if (row.index !== null && row.index !== undefined) return this.select(row.index);
    this.map.reveal(row.x, row.y);
    this.map.setPlaced([...this.placed, {x: row.x, y: row.y, label: "◄"}]);
  }

  mark(path, placed) {
    this.placed = placed;
    this.map.setPath(path);
    this.map.setPlaced(placed);
  }

  // Numbers decoded rows, in their list and on the map.
  number(rows) {
    const numbered = rows.map((row, i) => ({...row, number: i + 1}));
    this.mark([], numbered.map(({x, y, number}) => ({x, y, label: String(number)})));
    return numbered;
  }

  // The next click on the map fills this field; null ends the choice.
  pickFor(field) {
    this.picking?.button.setAttribute("aria-pressed", "false");
    this.picking = field;
    field?.button.setAttribute("aria-pressed", "true");
    const hint = mivae.byId("map-hint");
    hint.hidden = !field;
    if (field) {
      hint.textContent = `Choose on the map: ${field.label}`;
      if (this.stacked.matches) mivae.byId("map").scrollIntoView({block: "nearest"});
    }
  }

  use(where, end, text) {
    if (where === "start" || where === "end") {
      this.interpolate[where].set(end, text);
      this.openTab("interpolate");
    } else {
      this.openTab(where);
      this.attempt(null, async () => this[where].field.set(end, text));
    }
  }

  // ---- clicks and pointing ----

  async #picked(end, text) {
    const field = this.picking;
    this.pickFor(null);
    await this.attempt(null, async () => field.set(end, text));
    field.onPicked?.();
  }

  async #point(index) {
    if (!this.picking) return this.select(index);
    await this.attempt(null, async () => {
      const {rows} = await this.source.request("sentences", {indices: [index]});
      await this.#picked({index}, rows[0].text);
    });
  }

  // An empty place of the map: its decoded sentence.
  async #place([x, y]) {
    if (!this.overview.live) return;
    await this.attempt(null, async () => {
      const row = await this.source.request("point", {x, y, sequence: ++this.sequence, neighbours: true});
      if (row.superseded) return;
      this.here(row, "Decoded at the cursor");
      if (this.picking) await this.#picked({x, y}, row.text);
      else {
        this.map.select(-1);
        this.mark([], [{x, y, label: "place"}]);
        this.openTab("sentence");
        this.sentence.show({text: row.text, neighbours: row.neighbours}, {x, y}, "Decoded at the chosen place");
      }
    });
  }

  // The card under the map: what the place at the cursor, or the selected point, says.
  here(row, label) {
    mivae.byId("here-label").textContent = label;
    mivae.showText(mivae.byId("here-text"), row.text);
    const {nearest} = row; // its text may be written from right to left
    mivae.byId("here-nearest").replaceChildren(...nearest ? ["Nearest on the map: ",
      mivae.element("bdi", {textContent: nearest.text}), ` (distance ${mivae.format(nearest.distance)})`] : []);
  }

  // ---- parts of the page ----

  #theme() {
    const button = mivae.byId("theme"), root = document.documentElement;
    const system = matchMedia("(prefers-color-scheme: dark)");
    let stored = null;
    try { stored = localStorage.getItem("mivae-theme"); } catch { /* not available in some files */ }
    const apply = (dark) => {
      root.dataset.theme = dark ? "dark" : "light";
      button.setAttribute("aria-pressed", String(dark));
      this.map?.repaint();
      if (this.overview) this.#legend();
    };
    apply(stored ? stored === "dark" : system.matches);
    system.addEventListener("change", () => { if (!stored) apply(system.matches); });
    button.addEventListener("click", () => {
      stored = mivae.theme() === "dark" ? "light" : "dark";
      try { localStorage.setItem("mivae-theme", stored); } catch { /* kept for this visit only */ }
      apply(stored === "dark");
    });
  }

  #tabs() {
    const tabs = [...document.querySelectorAll('[role="tab"]')];
    this.openTab = (name, focus = false) => {
      for (const tab of tabs) {
        const chosen = tab.id === `tab-${name}`;
        tab.setAttribute("aria-selected", String(chosen));
        tab.tabIndex = chosen ? 0 : -1;
        mivae.byId(tab.getAttribute("aria-controls")).hidden = !chosen;
        if (chosen && focus) tab.focus();
      }
      if (name === "interpolate") this.interpolate.open();
    };
    tabs.forEach((tab) => {
      const name = tab.id.slice(4);
      tab.addEventListener("click", () => this.openTab(name));
      tab.addEventListener("keydown", (event) => {
        const shown = tabs.filter((other) => !other.hidden), i = shown.indexOf(tab), last = shown.length - 1;
        const to = {ArrowRight: i === last ? 0 : i + 1, ArrowLeft: i === 0 ? last : i - 1, Home: 0, End: last}[event.key];
        if (to === undefined) return;
        event.preventDefault();
        this.openTab(shown[to].id.slice(4), true);
      });
    });
    this.openTab("sentence");
  }

  #header() {
    const {run, title, checkpoint, model, corpus, map} = this.overview;
    const fact = ([name, value]) =>
      `${name.toLowerCase()} ${typeof value === "number" ? value.toLocaleString("en") : value}`;
    document.title = `${title} · mivae explore`;
    mivae.byId("title").textContent = `Latent space of ${title}`;
    mivae.byId("facts").textContent =
      [run, `checkpoint ${checkpoint}`, ...Object.entries(model).map(fact), corpus.name, map.note].join(" · ");
  }

  #map() {
    const point = mivae.latest(async (place) => {
      if (!place) return;
      const [x, y] = place;
      try {
        const row = await this.source.request("point", {x, y, sequence: ++this.sequence});
        if (!row.superseded) this.here(row, "Decoded at the cursor");
      } catch (error) {
        this.here({text: error.message}, "No sentence");
      }
    });
    const nearest = mivae.latest(async (place) => {
      if (!place) return;
      const index = this.map.nearest(...this.map.pixels(...place), Infinity);
      if (index < 0) return;
      const {rows} = await this.source.request("sentences", {indices: [index]});
      this.here(rows[0], "Nearest sentence");
    });
    this.sequence = 0;
    this.placed = [];
    this.stacked = matchMedia("(max-width: 56rem)");
    this.map = new mivae.LatentMap(mivae.byId("map"), mivae.byId("map-points"), mivae.byId("map-marks"),
      this.overview.map.axes, this.overview.map.bounds);
    new mivae.MapInput(this.map, {
      onPoint: (index) => this.#point(index),
      onPlace: (place) => this.#place(place),
      onHover: this.overview.live ? point : nearest,
      onLasso: (indices) => this.#lassoed(indices),
    });
  }

  #panels() {
    const {live} = this.overview;
    this.sentence = new mivae.SentencePanel(this);
    this.interpolate = new mivae.InterpolatePanel(this);
    this.samples = new mivae.SamplesPanel(this);
    this.selection = new mivae.SelectionPanel(this);
    if (live) {
      this.units = new mivae.UnitsPanel(this);
      this.vary = new mivae.VaryPanel(this);
      this.analogy = new mivae.AnalogyPanel(this);
    } else {
      for (const node of document.querySelectorAll(".live, #tab-units, #tab-vary, #tab-analogy")) node.hidden = true;
      for (const node of document.querySelectorAll(".exported")) node.hidden = false;
      const {anchors, texts, details} = this.source.data, stored = Object.keys(details).length;
      mivae.byId("copy-note").textContent = "A read-only copy without the model: reconstructions and neighbours are "
        + `stored for ${stored.toLocaleString("en")} of ${mivae.count(texts.length)}.`;
      this.interpolate.offer(anchors, texts);
      this.samples.show({rows: this.source.data.samples});
      this.mark([], []);
    }
    const {steps, rows, temperature, spread} = this.overview.limits;
    for (const id of ["vary-count", "sample-count"]) mivae.byId(id).max = rows;
    for (const id of ["interpolate", "vary", "analogy", "sample"]) mivae.byId(`${id}-temperature`).max = temperature[1];
    mivae.byId("steps").max = steps;
    mivae.byId("vary-spread").max = spread[1];
  }

  #tools() {
    const lasso = mivae.byId("lasso");
    lasso.addEventListener("click", () => this.#lassoMode(lasso.getAttribute("aria-pressed") !== "true"));
    mivae.byId("clear").addEventListener("click", () => this.#select(null));
    mivae.byId("zoom-in").addEventListener("click", () => this.map.zoom(1.4));
    mivae.byId("zoom-out").addEventListener("click", () => this.map.zoom(1 / 1.4));
    mivae.byId("zoom-reset").addEventListener("click", () => this.map.reset());
    mivae.byId("search-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.attempt(event.target, () => this.#search(mivae.byId("search").value.trim()));
    });
    const colour = mivae.byId("colour"), {colours} = this.overview;
    for (const [label, belongs] of [["Labels", (key) => key.startsWith("label:")],
      ["Sentence", (key) => !key.includes(":")], ["Latent units", (key) => key.startsWith("unit:")]]) {
      const group = mivae.element("optgroup", {label});
      for (const {key, name} of colours) if (belongs(key)) group.append(new Option(name, key));
      if (group.children.length) colour.append(group);
    }
    colour.addEventListener("change", () => this.attempt(null, () => this.#recolour()));
  }

  #lassoMode(on) {
    mivae.byId("lasso").setAttribute("aria-pressed", String(on));
    this.map.setLassoMode(on);
  }

  #lassoed(indices) {
    this.#lassoMode(false);
    if (!indices) return this.#select(null);
    return this.#select(indices, `${mivae.count(indices.length)} inside the lasso.`);
  }

  async #search(query) {
    if (!query) return this.#select(null);
    const {total, indices} = await this.source.request("search", {query, limit: 1});
    await this.#select(indices, `${mivae.count(total)} with “${query}”.`);
  }

  #select(indices, summary) {
    mivae.byId("clear").hidden = !indices;
    this.mark([], []);
    this.map.setFocus(indices);
    if (!indices) {
      mivae.byId("selection-summary").textContent = "Search, or draw around points with the lasso.";
      mivae.byId("selection").replaceChildren();
      return;
    }
    this.openTab("selection");
    return this.attempt(null, () => this.selection.show(indices, summary));
  }

  // ---- points and colours ----

  async #load() {
    const status = mivae.byId("loading");
    const {total} = this.overview.corpus;
    for (;;) {
      const points = await this.source.floats(`/api/points?start=${this.map.count}`);
      if (points.length) {
        this.map.append(points);
        await this.#recolour();
      }
      if (!this.overview.live || this.map.count >= total) break;
      status.textContent = `Encoded ${this.map.count} of ${mivae.count(total)}.`;
      await new Promise((resume) => setTimeout(resume, 400));
    }
    status.textContent = `${mivae.count(this.map.count)}.`;
  }

  async #recolour() {
    const key = mivae.byId("colour").value;
    const values = await this.source.floats(`/api/colours?key=${encodeURIComponent(key)}&start=0`);
    if (mivae.byId("colour").value !== key) return; // another choice was made meanwhile
    this.map.setColour(this.overview.colours.find((colour) => colour.key === key), values);
    this.#legend();
  }

  #legend() {
    const legend = mivae.byId("legend"), {colour} = this.map ?? {};
    if (!colour) return;
    const theme = mivae.theme();
    if (colour.kind === "category") {
      const hues = mivae.CATEGORIES[theme];
      legend.replaceChildren(...colour.categories.map((name, i) => {
        const swatch = mivae.element("span", {class: "swatch"});
        swatch.style.background = hues[i] ?? "#8a929a";
        return mivae.element("span", {}, swatch, name);
      }));
      return;
    }
    const ramp = mivae.element("span", {class: "ramp"}), [low, high] = colour.range;
    ramp.style.background = `linear-gradient(to right, ${mivae.RAMPS[theme].join(", ")})`;
    const whole = Number.isInteger(low) && Number.isInteger(high);
    const digits = whole || high - low >= 20 ? 0 : 2;
    const unit = colour.unit ? ` (${colour.unit})` : "";
    legend.replaceChildren(`${colour.name}${unit}: ${mivae.format(low, digits)}`, ramp, mivae.format(high, digits));
  }
};

mivae.app = new mivae.App();
mivae.ready = mivae.app.start();
