"use strict";
// Tables of sentences that can be copied and downloaded, and the marks of changed words.
// Text enters the page through textContent alone.

mivae.element = function (tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("aria-")) node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
};

mivae.format = (value, digits = 2) =>
  value === null || value === undefined || Number.isNaN(value) ? "–"
    : Number(value).toFixed(digits).replace("-", "−");

// "1 sentence", "2,000 sentences"
mivae.count = (n, noun = "sentence") => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

// Which words of `text` do not appear, in order, in `before` (longest common subsequence).
mivae.changedWords = function (before, text) {
  const a = before.split(" "), b = text.split(" ");
  const rows = Array.from({length: a.length + 1}, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      rows[i][j] = a[i] === b[j] ? rows[i + 1][j + 1] + 1
        : Math.max(rows[i + 1][j], rows[i][j + 1]);
    }
  }
  const changed = new Array(b.length).fill(true);
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) { changed[j] = false; i++; j++; }
    else if (rows[i + 1][j] >= rows[i][j + 1]) i++;
    else j++;
  }
  return b.map((word, j) => ({word, changed: changed[j]}));
};

// Fills `node` with `text`; words that differ from `before` are marked.
mivae.showText = function (node, text, before = null) {
  node.replaceChildren();
  if (text === "") {
    node.append(mivae.element("span", {class: "muted", textContent: "(empty sentence)"}));
    return;
  }
  if (before === null) {
    node.textContent = text;
    return;
  }
  mivae.changedWords(before, text).forEach(({word, changed}, j) => {
    if (j) node.append(" ");
    node.append(changed ? mivae.element("mark", {textContent: word}) : word);
  });
};

mivae.download = function (name, type, content) {
  const link = mivae.element("a", {href: URL.createObjectURL(new Blob([content], {type})), download: name});
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};

mivae.copy = async function (text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  // a page opened from a file has no clipboard object
  const area = mivae.element("textarea", {value: text, class: "visually-hidden"});
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
};

// A cell that a spreadsheet could take for a formula starts with an apostrophe.
mivae.csv = function (columns, rows) {
  const cell = (value) => {
    let text = value === null || value === undefined ? "" : String(value);
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [columns.map((column) => cell(column.name ?? column.key))];
  for (const row of rows) lines.push(columns.map((column) => cell(row[column.key])));
  return lines.map((line) => line.join(",")).join("\r\n") + "\r\n";
};

// Shows `rows` as a table in `node`. `columns`: [{key, head, digits?, name?}], the text first or later;
// `name` is that of the column in downloaded files, by default the key.
// Options: `name` of downloaded files, `onSelect(row)`, `before(i)` (the sentence from which the changes
// of row i are marked), `all` (function that returns every row, if the table shows only the first).
mivae.showList = function (node, columns, rows, {name, onSelect, before = () => null, all = null}) {
  node.replaceChildren();
  if (!rows.length) {
    node.append(mivae.element("p", {class: "muted", textContent: "No sentences."}));
    return;
  }
  const numeric = (column) => column.digits !== undefined;
  const head = mivae.element("tr", {}, ...columns.map((column) => mivae.element(
    "th", {scope: "col", textContent: column.head, class: numeric(column) ? "number" : ""})));
  const body = rows.map((row, i) => {
    const cells = columns.map((column) => {
      if (numeric(column)) {
        return mivae.element("td", {class: "number", textContent: mivae.format(row[column.key], column.digits)});
      }
      if (column.key !== "text") return mivae.element("td", {textContent: row[column.key] ?? "–"});
      const button = mivae.element("button", {type: "button"});
      mivae.showText(button, row.text, before(i));
      button.addEventListener("click", () => onSelect(row));
      return mivae.element("td", {}, button);
    });
    return mivae.element("tr", {}, ...cells);
  });
  const table = mivae.element("table", {class: "list"}, mivae.element("thead", {}, head),
    mivae.element("tbody", {}, ...body));
  const said = mivae.element("span", {class: "muted", role: "status"});
  const button = (text, action) => {
    const made = mivae.element("button", {type: "button", textContent: text});
    made.addEventListener("click", async () => {
      try {
        await action(all ? await all() : rows);
      } catch (error) {
        said.textContent = error.message;
      }
    });
    return made;
  };
  const plain = (list) => list.map((row) => Object.fromEntries(columns.map(({key, name: own}) => [own ?? key, row[key] ?? null])));
  node.append(table, mivae.element("div", {class: "row"},
    button("Copy", async (list) => {
      await mivae.copy(list.map((row) => row.text).join("\n"));
      said.textContent = `Copied ${mivae.count(list.length)}.`;
    }),
    button("JSON", (list) => mivae.download(`${name}.json`, "application/json", JSON.stringify(plain(list), null, 1))),
    button("CSV", (list) => mivae.download(`${name}.csv`, "text/csv", mivae.csv(columns, list))),
    said));
};
