"""The HTML, style and script of the gaze page; `@@NAME@@` marks what `gaze_page` fills in."""

TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>@@TITLE@@</title>
<style>@@STYLE@@</style>
</head>
<body>
<header><h1>@@TITLE@@</h1></header>
<main>
<noscript><p class="note">The player needs JavaScript; the results below do not.</p></noscript>
<section aria-label="Player">
<div class="bar">
<label>Clip <select id="clip"></select></label>
<label>Overlay <select id="style"><option value="heat">heat</option>
<option value="dim">dim (brightness = focus)</option></select></label>
<label>Opacity <input id="opacity" type="range" min="0" max="100"></label>
<label id="boxes-label"><input id="boxes" type="checkbox" checked> actor's box</label>
</div>
<div id="views"></div>
<div class="bar player">
<button id="play" type="button" aria-label="Play">&#9654;</button>
<input id="step" type="range" min="0" value="0" aria-label="Attended frame">
<output id="time" for="step"></output>
<label>Speed <select id="speed"><option value="0.25">1/4</option>
<option value="0.5" selected>1/2</option><option value="1">1</option></select></label>
</div>
<div class="bar legend">
<canvas id="ramp" width="256" height="14" role="img" aria-label="Colour scale"></canvas>
<span id="scale"></span>
<span class="keys">Keys: &larr; &rarr; step, space plays.
Point at an overlay to read its weight.</span>
</div>
</section>
<section id="charts" aria-label="Charts over time"></section>
<section aria-label="Probabilities"><h2>Probabilities at this frame</h2><div id="bars"></div>
</section>
@@TABLE@@
</main>
<script type="application/json" id="data">@@DATA@@</script>
<script>@@SCRIPT@@</script>
</body>
</html>
"""

STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --card: #f6f8fa; --ink: #1f2328;
  --grey: #59636e; --line: #d4dae1; --fill: #3b6fb6; --right: #1a7f37; --wrong: #c4321f; }
@media (prefers-color-scheme: dark) { :root { --paper: #0f1216; --card: #191e25;
  --ink: #e8ecf1; --grey: #9aa5b1; --line: #323a44; --fill: #6ea2e8; --right: #4cc267;
  --wrong: #ff7b6b; } }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.45 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
header, main { max-width: 1180px; margin: 0 auto; padding: 0 16px; }
h1 { font-size: 1.6rem; margin: 24px 0 12px; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 28px 0 10px; }
h3 { font-size: 1rem; margin: 0 0 8px; overflow-wrap: anywhere; }
.bar { display: flex; flex-wrap: wrap; gap: 10px 22px; align-items: center; margin: 12px 0; }
.bar label { display: flex; gap: 8px; align-items: center; max-width: 100%; color: var(--grey); }
select, button, input[type=range] { font: inherit; color: var(--ink); min-width: 0; }
select, button { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 6px 10px; max-width: 100%; }
button { width: 52px; height: 44px; font-size: 1.1rem; cursor: pointer; }
:focus-visible { outline: 3px solid var(--fill); outline-offset: 2px; }
input { accent-color: var(--fill); }
.player input { flex: 1 1 160px; height: 32px; }
.player output { min-width: 11.5em; font-variant-numeric: tabular-nums; }
#views, #charts, #bars { display: grid; gap: 16px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 250px), 1fr)); }
#charts { grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr));
  margin-top: 20px; }
figure, .card { margin: 0; background: var(--card); border: 1px solid var(--line);
  border-radius: 12px; padding: 12px; min-width: 0; }
figure canvas { display: block; width: 100%; max-width: 480px; margin: 0 auto; height: auto;
  border-radius: 6px; }
figcaption { margin-top: 8px; overflow-wrap: anywhere; }
figcaption small, .keys, .legend span, .note { color: var(--grey); font-size: .9rem; }
#ramp { width: 220px; height: 14px; border-radius: 3px; }
.right { color: var(--right); } .wrong { color: var(--wrong); }
.row { display: grid; grid-template-columns: minmax(5em, 9em) 1fr 3.4em; gap: 10px;
  align-items: center; margin: 3px 0; font-size: .92rem; }
.row span:first-child { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.row.true span:first-child { font-weight: 700; }
.row span:last-child { text-align: right; font-variant-numeric: tabular-nums; }
.track { height: 10px; border-radius: 5px; background: var(--line); overflow: hidden; }
.track i { display: block; height: 100%; background: var(--fill); }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--grey); font-size: 12px; } svg .axis { stroke: var(--line); }
svg .cursor { stroke: var(--ink); stroke-width: 1.5; }
svg polyline { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
.names { display: flex; flex-wrap: wrap; gap: 2px 18px; font-size: .9rem; }
.names span::before { content: ""; display: inline-block; width: 22px; margin-right: 7px;
  vertical-align: middle; border-top: 3px var(--dash, solid) var(--tint); }
.scroll { overflow-x: auto; margin-bottom: 40px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 14px; border-bottom: 1px solid var(--line); text-align: left;
  white-space: nowrap; }
td.number, th.number { text-align: right; }
@media (max-width: 620px) {
  #views { grid-template-columns: 1fr 1fr; gap: 8px; }
  figure { padding: 6px; border-radius: 8px; } }
"""

SCRIPT = """
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const colours = Uint8Array.from(atob(data.colours), c => c.charCodeAt(0));
const tints = ["#e07b1a", "#2f8fd0", "#a35cc4", "#2fa36b", "#d0476b"];
const by = id => document.getElementById(id);
const percent = (value, digits = 0) => (100 * value).toFixed(digits) + "%";
let clip, images = [], views = [], frame = 0, timer = null, updates = [];

function element(tag, text, parent, className) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  if (className) made.className = className;
  if (parent) parent.append(made);
  return made;
}

// The same interpolation as the film strips: flat tangents at the cells' centres.
function interpolation(cells, size) {
  return Array.from({length: size}, (_, pixel) => {
    const place = Math.min(Math.max((pixel + .5) * cells / size - .5, 0), cells - 1);
    const left = Math.min(Math.floor(place), Math.max(cells - 2, 0));
    const share = place - left;
    return [left, Math.min(left + 1, cells - 1), share * share * (3 - 2 * share)];
  });
}

function blend(pixels, width, height, strengthAt, style, opacity) {
  for (let y = 0, at = 0; y < height; y++) for (let x = 0; x < width; x++, at += 4) {
    const strength = Math.min(1, strengthAt(x, y));
    if (style === "heat") {
      const colour = 3 * Math.round(255 * strength);
      const cover = opacity * (.6 + .4 * Math.sqrt(strength));
      for (let i = 0; i < 3; i++) pixels[at + i] += (colours[colour + i] - pixels[at + i]) * cover;
    } else {
      const light = 1 - opacity * (1 - .2 - .8 * Math.pow(strength, 1 / 2.2));
      for (let i = 0; i < 3; i++) pixels[at + i] *= light;
    }
  }
}

function drawBox(context, factor) {
  if (!clip.boxes || !by("boxes").checked) return;
  const [x0, y0, x1, y1] = clip.boxes[frame].map(edge => edge * factor);
  for (const [width, colour] of [[5, "#000a"], [2.5, "#fff"]]) {
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  }
}

function makeView(name, model) {
  const figure = element("figure", null, by("views"));
  const canvas = element("canvas", null, figure);
  const factor = Math.max(1, Math.ceil(320 / Math.min(clip.width, clip.height)));
  canvas.width = clip.width * factor;
  canvas.height = clip.height * factor;
  canvas.setAttribute("role", "img");
  const caption = element("figcaption", null, figure);
  element("strong", name, caption);
  const context = canvas.getContext("2d", {willReadFrequently: true});
  const view = {canvas, context, factor, model, name};
  if (model) {
    const [rows, columns] = model.grid;
    view.rows = interpolation(rows, canvas.height);
    view.columns = interpolation(columns, canvas.width);
    const known = clip.trueLabel !== null, hit = model.predicted === clip.trueLabel;
    const mark = known ? (hit ? " \\u2713" : " \\u2717") : "";
    caption.append(" ");
    element("span", model.predicted + " " + percent(model.probability) + mark, caption,
      known ? (hit ? "right" : "wrong") : "");
    element("br", null, caption);
    const line = model.localisation ? "on the actor " + percent(model.localisation.mass, 1) +
      ", uniform " + percent(model.localisation.uniform, 1) : "";
    const readout = element("small", line, caption);
    canvas.addEventListener("pointermove", event => {
      const box = canvas.getBoundingClientRect();
      const row = Math.floor((event.clientY - box.top) / box.height * rows);
      const column = Math.floor((event.clientX - box.left) / box.width * columns);
      const weight = model.maps[frame][row * columns + column];
      if (weight !== undefined) readout.textContent = "row " + (row + 1) + ", column " +
        (column + 1) + ": " + weight.toFixed(2) + "\\u00d7 uniform";
    });
    canvas.addEventListener("pointerleave", () => { readout.textContent = line; });
  } else {
    element("br", null, caption);
    element("small", clip.trueLabel === null ? "" : "true label: " + clip.trueLabel, caption);
  }
  return view;
}

function drawView(view) {
  const {canvas, context, factor, model} = view;
  context.imageSmoothingEnabled = false;
  context.drawImage(images[frame], 0, 0, canvas.width, canvas.height);
  if (model) {
    const picture = context.getImageData(0, 0, canvas.width, canvas.height);
    const map = model.maps[frame], columns = model.grid[1];
    const strengthAt = (x, y) => {
      const [top, bottom, down] = view.rows[y], [left, right, across] = view.columns[x];
      const upper = map[top * columns + left] * (1 - across) + map[top * columns + right] * across;
      const lower =
        map[bottom * columns + left] * (1 - across) + map[bottom * columns + right] * across;
      return (upper * (1 - down) + lower * down) / data.scale;
    };
    blend(picture.data, canvas.width, canvas.height, strengthAt, by("style").value,
      by("opacity").value / 100);
    context.putImageData(picture, 0, 0);
  }
  drawBox(context, factor);
  canvas.setAttribute("aria-label", (model ? "Attention of " + view.name : "Video") +
    ", frame " + (frame + 1) + " of " + images.length);
}

function svg(tag, attributes, parent, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const name in attributes) made.setAttribute(name, attributes[name]);
  if (text) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

function makeChart(title, lines) {
  const card = element("div", null, by("charts"), "card");
  element("h3", title, card);
  const picture = svg("svg", {viewBox: "0 0 480 190", role: "img", "aria-label": title}, card);
  const end = clip.times[clip.times.length - 1], start = clip.times[0];
  const x = time => 48 + 420 * (end > start ? (time - start) / (end - start) : 0);
  const highest = Math.max(.01, ...lines.flatMap(line => line.values.filter(v => v !== null)));
  const top = Math.min(1, Math.ceil(highest * 10) / 10);
  const y = value => 160 - 145 * value / top;
  for (let i = 0; i <= 2; i++) {
    const height = y(top * i / 2);
    svg("line", {x1: 48, x2: 468, y1: height, y2: height, class: "axis"}, picture);
    svg("text", {x: 42, y: height + 4, "text-anchor": "end"}, picture, percent(top * i / 2));
  }
  svg("text", {x: 48, y: 182}, picture, start.toFixed(2) + " s");
  svg("text", {x: 468, y: 182, "text-anchor": "end"}, picture, end.toFixed(2) + " s");
  const names = element("div", null, card, "names");
  lines.forEach(line => {
    let run = [];
    const finish = () => {
      if (run.length) svg("polyline", {points: run.join(" "), stroke: line.tint,
        "stroke-dasharray": line.dashed ? "6 5" : "none"}, picture);
      run = [];
    };
    line.values.forEach((value, i) => {
      if (value === null) finish(); else run.push(x(clip.times[i]) + "," + y(value));
    });
    finish();
    line.text = element("span", line.name, names);
    line.text.style.setProperty("--tint", line.tint);
    if (line.dashed) line.text.style.setProperty("--dash", "dashed");
  });
  const cursor = svg("line", {y1: 12, y2: 160, class: "cursor"}, picture);
  updates.push(() => {
    cursor.setAttribute("x1", x(clip.times[frame]));
    cursor.setAttribute("x2", x(clip.times[frame]));
    lines.forEach(line => {
      const value = line.values[frame];
      line.text.textContent = line.name + ": " + (value === null ? "masked" : percent(value, 1));
    });
  });
}

function makeBars(model) {
  const card = element("div", null, by("bars"), "card");
  element("h3", model.name, card);
  const order = model.labels.map((_, i) => i).sort((a, b) => model.clip[b] - model.clip[a]);
  order.slice(0, 12).forEach(label => {
    const isTrue = model.labels[label] === clip.trueLabel;
    const row = element("div", null, card, isTrue ? "row true" : "row");
    element("span", model.labels[label] + (isTrue ? " (true)" : ""), row).title =
      model.labels[label];
    const fill = element("i", null, element("div", null, row, "track"));
    const number = element("span", null, row);
    updates.push(() => {
      fill.style.width = percent(Math.min(1, model.steps[frame][label]), 1);
      number.textContent = percent(model.steps[frame][label]);
    });
  });
  if (order.length > 12) {
    element("p", "12 of " + order.length + " classes, by the clip's probability.", card, "note");
  }
}

function show(index) {
  frame = index;
  by("step").value = frame;
  by("time").textContent = "frame " + clip.indices[frame] + ", " +
    clip.times[frame].toFixed(2) + " s";
  by("step").setAttribute("aria-valuetext", by("time").textContent);
  views.forEach(drawView);
  updates.forEach(update => update());
}

function pause() {
  clearTimeout(timer);
  timer = null;
  by("play").innerHTML = "&#9654;";
  by("play").setAttribute("aria-label", "Play");
}

function next() {
  const following = (frame + 1) % images.length;
  const gap = following ? clip.times[following] - clip.times[frame] : .8;
  timer = setTimeout(() => { show(following); next(); },
    Math.max(20, 1000 * gap / by("speed").value));
}

function toggle() {
  if (timer !== null) return pause();
  by("play").innerHTML = "&#10074;&#10074;";
  by("play").setAttribute("aria-label", "Pause");
  next();
}

async function choose(index) {
  pause();
  const chosen = data.clips[index];
  const loaded = await Promise.all(chosen.frames.map(source => {
    const image = new Image();
    image.src = source;
    return image.decode().then(() => image);
  }));
  // Another clip may have been chosen while the images were decoded.
  if (+by("clip").value !== index) return;
  clip = chosen;
  images = loaded;
  for (const id of ["views", "charts", "bars"]) by(id).replaceChildren();
  updates = [];
  views = [makeView("frames"), ...clip.models.map(model => makeView(model.name, model))];
  const line = values => (model, i) =>
    ({name: model.name, tint: tints[i % tints.length], values: values(model)});
  if (clip.boxes) {
    makeChart("Attention on the actor", [...clip.models.map(line(model => model.mass)),
      {name: "uniform map", tint: "#8a929b", values: clip.uniform, dashed: true}]);
  }
  makeChart(clip.trueLabel === null ? "Probability of the predicted label" :
    "Probability of the true label, " + clip.trueLabel,
    clip.models.map(line(model => model.shown)));
  clip.models.forEach(makeBars);
  by("boxes-label").hidden = !clip.boxes;
  by("step").max = images.length - 1;
  show(0);
}

function drawRamp() {
  const context = by("ramp").getContext("2d"), ramp = context.createImageData(256, 14);
  ramp.data.fill(150);
  for (let at = 3; at < ramp.data.length; at += 4) ramp.data[at] = 255;
  blend(ramp.data, 256, 14, x => x / 255, by("style").value, by("opacity").value / 100);
  context.putImageData(ramp, 0, 0);
}

data.clips.forEach((each, i) => { element("option", each.name, by("clip")).value = i; });
by("clip").addEventListener("change", () => choose(+by("clip").value));
by("style").addEventListener("change", () => {
  by("opacity").value = 100 * data.opacity[by("style").value];
});
for (const id of ["style", "opacity", "boxes"]) {
  by(id).addEventListener("input", () => { drawRamp(); if (clip) show(frame); });
  by(id).addEventListener("change", () => { drawRamp(); if (clip) show(frame); });
}
by("step").addEventListener("input", () => { pause(); show(+by("step").value); });
by("play").addEventListener("click", toggle);
document.addEventListener("keydown", event => {
  const target = event.target.tagName, changed = event.ctrlKey || event.metaKey || event.altKey;
  if (!clip || changed || /^(INPUT|SELECT)$/.test(target)) return;
  const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  if (step) {
    pause();
    show((frame + step + images.length) % images.length);
  } else if (event.key === " " && target !== "BUTTON") toggle(); else return;
  event.preventDefault();
});
by("style").value = data.style;
by("opacity").value = 100 * data.opacity[data.style];
by("scale").textContent = "0 to " + data.scale.toPrecision(3) + "\\u00d7 uniform" +
  (data.exceeded ? " and more" : "") + ", one scale for all clips";
drawRamp();
choose(0);
"""
