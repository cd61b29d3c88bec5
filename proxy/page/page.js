// SPDX-License-Identifier: PostgreSQL
//
// Keeps the page at what pgfold's figures are now. The tables are pgfold's own HTML, asked for again; the chart is
// drawn here, from what was counted in each second. What came before a restart is kept, since seconds are known by
// the time of day; rates are counts of a second by its length, so a reset makes none negative.
"use strict";
(function () {
  const SPAN = 300; // seconds in the chart
  const LIVE = ["facts", "notice", "legend", "tiles", "since", "bar", "answered", "would", "loops", "forwarded", "alone", "connections",
    "inside", "databases", "settings"];
  const SVG = "http://www.w3.org/2000/svg";
  const byId = (id) => document.getElementById(id);
  let seconds = []; // {end, took, asked, sent}, the oldest first; end: seconds since 1970
  let stats = null, reached = 0, timer = 0, turn = 0, failing = false, asking = false, behind = 0;

  // What mode observe would send stands for what is sent: the latter is what is asked.

  // ---- what pgfold says

  async function get(path) {
    const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(path + ": " + answer.status);
    return answer;
  }

  function remember(said) {
    const at = Object.fromEntries(said.second_columns.map((name, i) => [name, i]));
    const fresh = said.seconds.map((row) => ({ end: row[at.ended_ms] / 1000, took: row[at.took_ms] / 1000, asked: row[at.asked],
      sent: row[at.sent], would: row[at.would_be_sent_estimate] }));
    const now = said.now_ms / 1000, first = fresh.length ? fresh[0].end : now;
    // The same second is told a millisecond earlier or later.
    seconds = seconds.filter((s) => s.end > now - SPAN - 5 && s.end < first - 0.3).concat(fresh);
    behind = said.now_ms - Date.now(); // its clock's lead
  }

  // Takes over what has changed, and leaves the rest alone: what is marked or has the focus stays so.
  function renew(there) {
    const marked = getSelection();
    for (const id of LIVE) {
      const old = byId(id), fresh = there.getElementById(id);
      if (old && (old.contains(document.activeElement) || (!marked.isCollapsed && marked.containsNode(old, true)))) continue;
      if (old && fresh && old.innerHTML !== fresh.innerHTML) old.replaceChildren(...document.importNode(fresh, true).childNodes);
    }
  }

  async function poll() {
    clearTimeout(timer);
    timer = 0;
    if (asking) return;
    asking = true;
    try {
      const now = await (await get("/stats.json")).json();
      if (stats && stats.pgfold !== now.pgfold) return location.reload();
      if (!reached || performance.now() - reached > 8000 || failing) remember(await (await get("/history.json")).json());
      remember(now);
      stats = now;
      if (turn++ % 2 === 0) renew(new DOMParser().parseFromString(await (await get("/")).text(), "text/html"));
      reached = performance.now();
      say(false);
    } catch (error) {
      say(true);
    }
    asking = false;
    draw();
    if (!document.hidden && !timer) timer = setTimeout(poll, failing ? 2000 : 1000);
  }

  function say(fails) {
    const first = !document.body.className;
    if (fails === failing && !first) return;
    failing = fails;
    document.body.className = fails ? "gone" : "live";
    byId("status-text").textContent = fails
      ? "not reachable since " + new Date().toLocaleTimeString() + ", trying again" : "live";
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { clearTimeout(timer); timer = 0; } else poll();
  });

  // ---- numbers, as batching/show/human.c writes them

  function rate(n) {
    if (n >= 9.95 || n === 0) return Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, ",");
    return Math.max(n, 0.1).toFixed(1);
  }

  function short(n) {
    if (n >= 1e6) return +(n / 1e6).toPrecision(3) + " M";
    if (n >= 1e4) return +(n / 1e3).toPrecision(3) + " k";
    return Number.isInteger(n) ? rate(n).replace(/\.0$/, "") : n.toFixed(n < 10 ? 1 : 0);
  }

  // ---- the chart

  function element(name, attributes, parent) {
    const e = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
    return parent.appendChild(e);
  }

  // A round number that is not below n.
  function ceiling(n) {
    const ten = 10 ** Math.floor(Math.log10(n));
    return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((f) => f * ten).find((c) => c >= n * 0.999);
  }

  const chart = byId("chart");
  const box = { left: 46, right: 8, top: 10, bottom: 24 };
  let points = [], picked = null, scale = null;

  function samples() {
    const now = (Date.now() + behind) / 1000;
    return { now, list: seconds.filter((s) => s.end > now - SPAN && s.took > 0)
      .map((s) => ({ end: s.end, from: s.end - s.took, asked: s.asked / s.took, sent: (s.would === null ? s.sent : s.would) / s.took, estimate: s.would !== null })) };
  }

  // Where seconds are missing the line is broken.
  function path(of, base) {
    let text = "", first = null, last = null;
    const close = () => { if (base !== undefined && last) text += `L${scale.x(last.end)} ${base}L${scale.x(first.end)} ${base}Z`; };
    for (const p of points) {
      const joined = last && p.from - last.end < 1.5;
      if (!joined) { close(); first = p; }
      text += `${joined ? "L" : "M"}${scale.x(p.end)} ${scale.y(of(p))}`;
      if (!joined) text += "h.01"; // a second alone is a dot
      last = p;
    }
    close();
    return text;
  }

  function axes(svg, width, height) {
    for (let i = 0; i <= 2; i++) {
      const y = scale.y(scale.top * i / 2);
      element("line", { class: "grid", x1: box.left, x2: width - box.right, y1: y, y2: y }, svg);
      element("text", { class: "axis", x: box.left - 8, y: y + 4, "text-anchor": "end" }, svg).textContent = short(scale.top * i / 2);
    }
    const step = scale.span > 150 ? 60 : scale.span > 75 ? 30 : 15;
    for (let ago = 0; ago < scale.span; ago += step) {
      const x = scale.x(scale.now - ago), text = step < 60 ? `−${ago} s` : `−${ago / 60} min`;
      if (x > box.left + 20) element("text", { class: "axis", x, y: height - 4, "text-anchor": ago ? "middle" : "end" }, svg).textContent = ago ? text : "now";
    }
  }

  function draw() {
    const width = chart.clientWidth, seen = samples();
    if (!width) return;
    points = seen.list;
    const height = window.innerWidth <= 560 ? 180 : 220;
    const most = Math.max(0, ...points.map((p) => Math.max(p.asked, p.sent)));
    const top = most > 0 ? Math.max(ceiling(most), 4) : 10;
    const span = Math.min(SPAN, Math.max(60, points.length ? seen.now - points[0].from : 0));
    scale = { top, span, now: seen.now, x: (t) => +(width - box.right - (seen.now - t) / span * (width - box.left - box.right)).toFixed(1),
      y: (v) => +(height - box.bottom - v / top * (height - box.top - box.bottom)).toFixed(1) };
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("aria-hidden", "true");
    axes(svg, width, height);
    element("path", { class: "area", d: path((p) => p.asked, scale.y(0)) }, svg);
    element("path", { class: "asked", d: path((p) => p.asked) }, svg);
    element("path", { class: "sent", d: path((p) => p.sent) }, svg);
    const old = chart.querySelector("svg");
    if (old) old.replaceWith(svg); else chart.prepend(svg);
    pick();
    const last = points[points.length - 1];
    document.title = last && !failing ? `pgfold · ${rate(last.asked)}/s` : "pgfold";
  }

  // ---- one second of the chart

  const told = chart.appendChild(document.createElement("output"));
  told.hidden = true;

  function pick() {
    const p = picked !== null && points.reduce((best, q) => !best || Math.abs(q.end - picked) < Math.abs(best.end - picked) ? q : best, null);
    told.hidden = !p;
    if (!p) return;
    const svg = chart.querySelector("svg"), x = scale.x(p.end);
    element("line", { class: "cross", x1: x, x2: x, y1: scale.y(scale.top), y2: scale.y(0) }, svg);
    element("circle", { class: "spot", cx: x, cy: scale.y(p.asked), r: 4 }, svg);
    element("circle", { class: "spot of-sent", cx: x, cy: scale.y(p.sent), r: 4 }, svg);
    const text = `${new Date(p.end * 1000).toLocaleTimeString()}\nasked ${rate(p.asked)}/s\n${p.estimate ? "would be sent ≈" : "sent"} ${rate(p.sent)}/s`;
    if (told.textContent !== text) told.textContent = text;
    told.style.left = Math.max(0, x + 14 + told.offsetWidth > chart.clientWidth ? x - 14 - told.offsetWidth : x + 14) + "px";
  }

  function pickAt(time) {
    picked = time;
    draw();
  }

  chart.addEventListener("pointermove", (e) => {
    if (!scale) return;
    const inner = chart.clientWidth - box.left - box.right;
    pickAt(scale.now - (chart.clientWidth - box.right - (e.clientX - chart.getBoundingClientRect().left)) / inner * scale.span);
  });
  chart.addEventListener("pointerleave", () => pickAt(null));
  chart.addEventListener("blur", () => pickAt(null));
  chart.addEventListener("keydown", (e) => {
    if (!points.length || !["ArrowLeft", "ArrowRight", "Home", "End", "Escape"].includes(e.key)) return;
    e.preventDefault();
    let i = picked === null ? points.length : points.findIndex((p) => p.end >= picked - 0.001);
    if (i < 0) i = points.length - 1;
    i = e.key === "Home" ? 0 : e.key === "End" ? points.length - 1 : i + (e.key === "ArrowLeft" ? -1 : 1);
    pickAt(e.key === "Escape" ? null : points[Math.min(Math.max(i, 0), points.length - 1)].end);
  });
  window.addEventListener("resize", draw);

  // ---- begin

  chart.hidden = false;
  chart.tabIndex = 0;
  chart.setAttribute("role", "group");
  chart.setAttribute("aria-label", "Chart: statements asked and sent in each of the last five minutes’ seconds. Left and right arrows go from second to second.");
  poll();
})();
