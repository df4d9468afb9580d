"use strict";
// The panels beside the map. Each takes the app, which owns the source, the map and the messages.

mivae.byId = (id) => document.getElementById(id);

// Calls an asynchronous function with the newest arguments only, one call at a time.
mivae.latest = function (action) {
  let waiting = null, busy = false;
  return async (...values) => {
    waiting = values;
    if (busy) return;
    busy = true;
    try {
      while (waiting) {
        const next = waiting;
        waiting = null;
        await action(...next);
      }
    } finally {
      busy = false;
    }
  };
};

mivae.number = function (id, name) {
  const input = mivae.byId(id), value = input.valueAsNumber;
  if (Number.isNaN(value)) throw new Error(`${name}: enter a number.`);
  return value;
};

// A sentence or place that a tool starts from: typed, or picked on the map.
mivae.EndField = class {
  constructor(app, id, label) {
    this.app = app;
    this.label = label;
    this.end = null;
    this.input = mivae.element("input", {type: "text", id: `${id}-text`, autocomplete: "off"});
    this.button = mivae.element("button", {type: "button", textContent: "Pick on map", "aria-pressed": "false",
      "aria-label": `Pick on map: ${label}`});
    this.input.addEventListener("input", () => { this.end = null; });
    this.button.addEventListener("click", () => app.pickFor(app.picking === this ? null : this));
    mivae.byId(id).append(
      mivae.element("label", {htmlFor: `${id}-text`, textContent: label}),
      mivae.element("div", {class: "row"}, this.input, this.button));
  }

  set(end, text) {
    this.end = end;
    this.input.value = text;
    this.onSet?.();
  }

  get empty() { return this.end === null && this.text === ""; }
  get text() { return this.input.value.trim(); }

  value() {
    if (this.empty) throw new Error(`${this.label}: enter a sentence or pick a point on the map.`);
    return this.end ?? {text: this.text};
  }
};

mivae.SentencePanel = class {
  constructor(app) {
    this.app = app;
    mivae.byId("place-form").addEventListener("submit", (event) => {
      event.preventDefault();
      app.attempt(event.target, () => this.place(mivae.byId("place").value.trim()));
    });
    mivae.byId("sentence-actions").addEventListener("click", (event) => {
      const use = event.target.dataset?.use;
      if (use) app.use(use, this.end, this.text);
    });
  }

  async place(text) {
    if (!text) throw new Error("Enter a sentence.");
    const row = await this.app.source.request("place", {text});
    this.app.map.select(-1);
    this.app.mark([], [{x: row.x, y: row.y, label: "your sentence"}]);
    this.app.map.reveal(row.x, row.y);
    this.show(row, {text}, "Your sentence");
  }

  async select(index) {
    const {map, source} = this.app;
    map.select(index);
    map.reveal(map.positions[2 * index], map.positions[2 * index + 1]);
    const row = await source.request("sentence", {index});
    if (map.selected === index) this.show(row, {index}, "Selected sentence"); // else another was chosen
  }

  show(row, end, label) {
    this.end = end;
    this.text = row.text;
    this.app.here({text: row.text}, label);
    mivae.byId("sentence-empty").hidden = true;
    mivae.byId("sentence").hidden = false;
    mivae.showText(mivae.byId("sentence-text"), row.text);
    const facts = [];
    if (row.rate !== undefined) facts.push(["Rate", `${mivae.format(row.rate)} nats`]);
    if (row.length !== undefined) facts.push(["Length", mivae.count(row.length, "word")]);
    if (row.unknown) facts.push(["Unknown words", row.unknown]);
    if (row.line !== undefined && row.line !== null) facts.push(["Line", row.line]);
    facts.push(...Object.entries(row.labels ?? {}));
    mivae.byId("sentence-facts").replaceChildren(...facts.flatMap(([name, value]) => [
      mivae.element("dt", {textContent: name}), mivae.element("dd", {textContent: value ?? "–"})]));
    const reconstruction = mivae.byId("sentence-reconstruction"), {live} = this.app.overview;
    const known = row.reconstruction !== undefined; // a decoded place has none, nor have some of a copy
    mivae.byId("reconstruction-label").hidden = reconstruction.hidden = !known && live;
    if (known) mivae.showText(reconstruction, row.reconstruction, row.text);
    else reconstruction.textContent = "Not stored in this copy.";
    const {metric} = this.app.overview;
    mivae.showList(mivae.byId("neighbours"), [
      {key: "text", head: "Sentence"}, {key: "distance", head: `Distance (${metric})`, digits: 3}],
      row.neighbours ?? [], {name: "neighbours", onSelect: (near) => this.app.select(near.index)});
  }
};

mivae.InterpolatePanel = class {
  constructor(app) {
    this.app = app;
    this.start = new mivae.EndField(app, "start-field", "Start");
    this.end = new mivae.EndField(app, "end-field", "End");
    // after the start has been picked on the map, the next click chooses the end
    this.start.onPicked = () => this.end.empty && app.pickFor(this.end);
    mivae.byId("swap").addEventListener("click", () => {
      const [a, b] = [[this.start.end, this.start.text], [this.end.end, this.end.text]];
      this.start.set(...b);
      this.end.set(...a);
    });
    mivae.byId("interpolate-form").addEventListener("submit", (event) => {
      event.preventDefault();
      app.attempt(event.target, () => this.interpolate());
    });
  }

  async interpolate() {
    const exported = !this.app.overview.live;
    const anchor = (id) => ({index: Number(mivae.byId(id).value)});
    this.show(await this.app.source.request("interpolate", exported
      ? {from: anchor("anchor-start"), to: anchor("anchor-end")}
      : {from: this.start.value(), to: this.end.value(), method: mivae.byId("method").value,
         steps: mivae.number("steps", "Steps"),
         temperature: mivae.number("interpolate-temperature", "Temperature")}));
  }

  show({rows}) {
    const {app} = this, [first, last] = [rows[0], rows.at(-1)];
    app.mark(rows.map(({x, y}) => [x, y]), [{...first, label: "start"}, {...last, label: "end"}]);
    mivae.showList(mivae.byId("interpolation"), [
      {key: "t", head: "t", digits: 2}, {key: "text", head: "Sentence"},
      {key: "log_likelihood", head: "log p(x|z) (nats)", digits: 1}],
      rows, {name: "interpolation", before: (i) => i ? rows[i - 1].text : null, onSelect: (row) => app.show(row)});
  }

  // What an exported copy shows first: the path between the first two anchors.
  open() {
    if (!this.app.overview.live && !mivae.byId("interpolation").children.length) {
      this.app.attempt(mivae.byId("interpolate-form"), () => this.interpolate());
    }
  }

  // Two lists of sentences between which an exported copy holds interpolations.
  offer(anchors, texts) {
    anchors.forEach((index, i) => {
      for (const [id, chosen] of [["anchor-start", 0], ["anchor-end", 1]]) {
        mivae.byId(id).append(new Option(texts[index], index, i === chosen, i === chosen));
      }
    });
    for (const id of ["anchor-start", "anchor-end"]) {
      mivae.byId(id).addEventListener("change", () =>
        this.app.attempt(mivae.byId("interpolate-form"), () => this.interpolate()));
    }
  }
};

mivae.UnitsPanel = class {
  constructor(app) {
    this.app = app;
    this.field = new mivae.EndField(app, "units-field", "Sentence");
    this.field.onSet = () => this.begin();
    this.from = null;
    this.moved = {};
    this.sliders = new Map();
    const box = mivae.byId("sliders");
    for (const unit of app.overview.units) {
      const output = mivae.element("output", {textContent: "–"});
      const margin = Math.max(0.25 * (unit.high - unit.low), 0.5); // beyond the corpus
      const slider = mivae.element("input", {type: "range", min: unit.low - margin,
        max: unit.high + margin, step: "any", disabled: true, id: `unit-${unit.unit}`});
      slider.addEventListener("input", () => {
        this.moved[unit.unit] = slider.valueAsNumber;
        output.textContent = mivae.format(slider.valueAsNumber);
        this.decode();
      });
      this.sliders.set(String(unit.unit), {slider, output});
      box.append(mivae.element("div", {class: "slider"}, mivae.element("label", {htmlFor: slider.id,
        textContent: `Unit ${unit.unit} · rate ${mivae.format(unit.rate)} nats`}), output, slider));
    }
    let sequence = 0;
    this.decode = mivae.latest(() => app.attempt(null, async () => {
      const row = await app.source.request("decode",
        {from: this.from, units: this.moved, sequence: ++sequence});
      this.show(row);
    }));
    mivae.byId("units-form").addEventListener("submit", (event) => {
      event.preventDefault();
      app.attempt(event.target, () => this.begin());
    });
    mivae.byId("units-prior").addEventListener("click", () => this.field.set({prior: true}, "(prior’s mean)"));
  }

  begin() {
    this.from = this.field.value();
    this.moved = {};
    this.original = null;
    return this.decode();
  }

  show(row) {
    if (row.superseded) return;
    this.original ??= row.text;
    mivae.showText(mivae.byId("units-text"), row.text, this.original);
    for (const [unit, value] of Object.entries(row.units)) {
      const {slider, output} = this.sliders.get(unit);
      slider.disabled = false;
      slider.min = Math.min(slider.min, value);
      slider.max = Math.max(slider.max, value);
      if (this.moved[unit] !== undefined) continue;
      slider.value = value;
      output.textContent = mivae.format(value);
    }
    this.app.mark([], [{x: row.x, y: row.y, label: "decoded"}]);
  }
};

mivae.VaryPanel = class {
  constructor(app) {
    this.field = new mivae.EndField(app, "vary-field", "Sentence");
    mivae.byId("vary-form").addEventListener("submit", (event) => {
      event.preventDefault();
      app.attempt(event.target, async () => {
        const {rows} = await app.source.request("vary", {from: this.field.value(),
          count: mivae.number("vary-count", "Number"), spread: mivae.number("vary-spread", "Spread"),
          temperature: mivae.number("vary-temperature", "Temperature"), seed: mivae.number("vary-seed", "Seed")});
        const sentence = this.field.text;
        mivae.showList(mivae.byId("variations"), [{key: "number", head: "#", digits: 0},
          {key: "text", head: "Variation"}, {key: "distance", head: "Distance", digits: 2},
          {key: "count", head: "Samples", digits: 0}], app.number(rows),
          {name: "variations", before: () => sentence, onSelect: (row) => app.show(row)});
      });
    });
  }
};

mivae.AnalogyPanel = class {
  constructor(app) {
    const fields = ["A", "B", "C"].map((name) => new mivae.EndField(app, `analogy-${name.toLowerCase()}`, name));
    mivae.byId("analogy-form").addEventListener("submit", (event) => {
      event.preventDefault();
      app.attempt(event.target, async () => {
        fields.forEach((field) => field.value());
        const [a, b, c] = fields.map((field) => field.text);
        const {rows, ends} = await app.source.request("analogy",
          {a, b, c, temperature: mivae.number("analogy-temperature", "Temperature")});
        app.mark([], [...["a", "b", "c"].map((name) => ({...ends[name], label: name.toUpperCase()})),
          ...rows.map((row) => ({...row, label: "C + B − A"}))]);
        mivae.showList(mivae.byId("analogies"), [{key: "text", head: "C + B − A"}], rows,
          {name: "analogy", onSelect: (row) => app.show(row)});
      });
    });
  }
};

mivae.SamplesPanel = class {
  constructor(app) {
    this.app = app;
    mivae.byId("samples-form").addEventListener("submit", (event) => {
      event.preventDefault();
      app.attempt(event.target, async () => this.show(await app.source.request("sample", {
        count: mivae.number("sample-count", "Number"), seed: mivae.number("sample-seed", "Seed"),
        temperature: mivae.number("sample-temperature", "Temperature")})));
    });
  }

  show({rows}) {
    mivae.showList(mivae.byId("samples"), [{key: "number", head: "#", digits: 0},
      {key: "text", head: "Sample"}], this.app.number(rows),
      {name: "samples", onSelect: (row) => this.app.show(row)});
  }
};

mivae.SelectionPanel = class {
  constructor(app) {
    this.app = app;
    this.shown = 100; // rows of the table; copies and downloads hold all
  }

  async show(indices, summary) {
    const {app} = this, rows = await this.#load(indices.slice(0, this.shown));
    const labels = app.overview.colours.filter(({key}) => key.startsWith("label:"));
    // a label may be named like another column: its key has a prefix
    const flat = (list) => list.map((row) => ({...row,
      ...Object.fromEntries(Object.entries(row.labels).map(([name, value]) => [`label:${name}`, value]))}));
    const more = indices.length > rows.length ? ` The table shows the first ${rows.length}.` : "";
    mivae.byId("selection-summary").textContent = summary + more;
    const columns = [{key: "text", head: "Sentence"}, {key: "length", head: "Words", digits: 0},
      {key: "rate", head: "Rate (nats)", digits: 2}, ...labels.map(({key, name}) => ({key, head: name,
        name: ["text", "length", "rate"].includes(name) ? key : name}))];
    mivae.showList(mivae.byId("selection"), columns, flat(rows), {name: "selection",
      onSelect: (row) => app.select(row.index), all: async () => flat(await this.#load(indices))});
  }

  async #load(indices) {
    const rows = [];
    for (let k = 0; k < indices.length; k += 1000) {
      const got = await this.app.source.request("sentences", {indices: indices.slice(k, k + 1000)});
      rows.push(...got.rows);
    }
    return rows;
  }
};
