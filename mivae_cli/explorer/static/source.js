"use strict";
// Where the page gets its data: the running server, or the file data.js of an exported copy.
// Both sources have the same three methods: overview(), floats(path) and request(name, body).

window.mivae = window.mivae || {};

mivae.LiveSource = class {
  constructor(token) {
    this.headers = {"X-Mivae-Token": token};
    // of live requests: a newer one of the same page replaces an older one
    this.page = crypto.getRandomValues(new Uint32Array(2)).join("-");
  }

  overview() {
    return this.#json("/api/overview", {});
  }

  // Float32Array from the server: coordinates of points, or one value per point.
  async floats(path) {
    const response = await this.#fetch(path, {});
    return new Float32Array(await response.arrayBuffer());
  }

  request(name, body) {
    const sent = "sequence" in body ? {...body, page: this.page} : body;
    return this.#json(`/api/${name}`, {method: "POST", body: JSON.stringify(sent)});
  }

  async #json(path, options) {
    return (await this.#fetch(path, options)).json();
  }

  async #fetch(path, options) {
    const headers = {...this.headers};
    if (options.body) headers["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(path, {...options, headers});
    } catch {
      throw new Error("The server does not answer. Start it again with: mivae explore RUN");
    }
    if (response.ok) return response;
    let text = `The server answered with status ${response.status}.`;
    try {
      text = (await response.json()).error || text;
    } catch {
      // an answer without JSON: keep the status
    }
    throw new Error(text);
  }
};

mivae.ExportedSource = class {
  constructor(data) {
    this.data = data;
    this.decoded = new Map(); // arrays by their text
  }

  async overview() {
    return this.data.overview;
  }

  async floats(path) {
    const url = new URL(path, "http://export/");
    const key = url.searchParams.get("key");
    return this.#values(key === null ? this.data.points : this.data.colours[key]);
  }

  #values(text) {
    if (!this.decoded.has(text)) {
      const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
      this.decoded.set(text, new Float32Array(bytes.buffer));
    }
    return this.decoded.get(text);
  }

  async request(name, body) {
    switch (name) {
      case "sentence": return this.#sentence(body.index);
      case "sentences": return {rows: body.indices.map((index) => this.#row(index))};
      case "search": return this.#search(body.query, body.limit);
      case "sample": return {rows: this.data.samples};
      case "interpolate": return this.#interpolate(body.from.index, body.to.index);
      default: throw new Error("This exported copy has no model. Use: mivae explore RUN");
    }
  }

  #row(index) {
    const {colours, texts, overview} = this.data;
    const value = (key) => this.#values(colours[key])[index];
    const labels = Object.fromEntries(overview.colours.filter(({key}) => key.startsWith("label:"))
      .map(({key, name, categories}) => [name, categories ? categories[value(key)] : value(key)]));
    return {index, text: texts[index], length: value("length"), rate: value("rate"), labels};
  }

  #sentence(index) {
    return {...this.#row(index), ...(this.data.details[index] ?? {}), index};
  }

  #search(query, limit) {
    const wanted = query.toLowerCase();
    const indices = [];
    this.data.texts.forEach((text, i) => {
      if (text.toLowerCase().includes(wanted)) indices.push(i);
    });
    const rows = indices.slice(0, limit).map((index) => this.#row(index));
    return {total: indices.length, indices, rows};
  }

  #interpolate(from, to) {
    const stored = this.data.interpolations;
    const backward = stored[`${to}-${from}`]?.toReversed().map((row) => ({...row, t: 1 - row.t}));
    const rows = stored[`${from}-${to}`] ?? backward;
    if (!rows) throw new Error("Choose two different sentences.");
    return {rows};
  }
};

mivae.openSource = function () {
  if (window.MIVAE_DATA) return new mivae.ExportedSource(window.MIVAE_DATA);
  return new mivae.LiveSource(new URLSearchParams(location.search).get("token") ?? "");
};
