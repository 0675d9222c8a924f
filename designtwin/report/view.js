// The 3D view of a page: one WebGL picture of a part with its fields, offline. Where there is no WebGL the
// picture that stands in the page stays. `report/view.py` packs what is unpacked here.
"use strict";
(() => {
  // Triangles of facets by corners and degree, as in viz/web.py.
  const SPLIT = {
    facets31: [[0, 1, 2]],
    facets41: [[0, 1, 2], [0, 2, 3]],
    facets32: [[0, 3, 5], [3, 1, 4], [4, 2, 5], [3, 4, 5]],
    facets42: [[0, 4, 7], [4, 1, 5], [5, 2, 6], [6, 3, 7], [4, 5, 6], [4, 6, 7]],
  };
  const RIM = {
    facets31: [0, 1, 2], facets41: [0, 1, 2, 3],
    facets32: [0, 3, 1, 4, 2, 5], facets42: [0, 4, 1, 5, 2, 6, 3, 7],
  };
  const KINDS = { i1: Int8Array, u1: Uint8Array, i2: Int16Array, i4: Int32Array, f4: Float32Array };
  const INK = [0.106, 0.153, 0.2], GRAY = [0.545, 0.596, 0.647];

  // The lights are those of the pictures, see viz/raster.py: fixed to the viewer, mostly ambient.
  const BODY = [`#version 300 es
    in vec3 at, normal, move; in float value, kind;
    uniform mat3 turn; uniform vec3 middle; uniform vec4 frame; uniform float reach, moved;
    out vec3 facing; out float number, sort;
    void main() {
      vec3 p = turn * (at + moved * move - middle);
      facing = turn * normal; number = value; sort = kind;
      gl_Position = vec4(p.xy * frame.xy + frame.zw, -p.z * reach, 1.0);
    }`, `#version 300 es
    precision highp float;
    in vec3 facing; in float number, sort;
    uniform sampler2D ramp; uniform vec2 range; uniform float limit; uniform bool inverse;
    uniform vec3 key, fill; out vec4 color;
    void main() {
      float shown = inverse ? 1.0 / max(number, 1e-12) : number;
      float t = (shown - range.x) / (range.y - range.x);
      vec3 base = texture(ramp, vec2(clamp(t, 0.002, 0.998), 0.5)).rgb;
      float off = number - limit, wide = fwidth(number);
      if (wide > 0.0) base = mix(vec3(0.106, 0.153, 0.2), base, clamp(abs(off) / wide - 0.4, 0.0, 1.0));
      if (sort > 1.99) base = mix(base, vec3(0.875, 0.89, 0.906), 0.6);
      if (sort < 0.99) base = vec3(0.725, 0.745, 0.769);
      vec3 n = normalize(facing);
      if (n.z < 0.0) n = -n;
      float light = 0.70 + 0.30 * max(dot(n, key), 0.0) + 0.12 * max(dot(n, fill), 0.0);
      float shine = 0.05 * pow(max(dot(n, normalize(key + vec3(0.0, 0.0, 1.0))), 0.0), 30.0);
      color = vec4(clamp(light * base + shine, 0.0, 1.0), 1.0);
    }`];
  const LINE = [`#version 300 es
    in vec3 at, move;
    uniform mat3 turn; uniform vec3 middle; uniform vec4 frame; uniform float reach, moved;
    void main() {
      vec3 p = turn * (at + moved * move - middle);
      gl_Position = vec4(p.xy * frame.xy + frame.zw, -p.z * reach - 0.0015, 1.0);
    }`, `#version 300 es
    precision mediump float;
    uniform vec4 ink; out vec4 color;
    void main() { color = ink; }`];

  const unit = (v) => { const n = Math.hypot(...v); return v.map((x) => x / n); };

  async function unpack(stream) {
    const bytes = Uint8Array.from(atob(stream.text), (letter) => letter.charCodeAt(0));
    const flow = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const raw = new Uint8Array(await new Response(flow).arrayBuffer());
    const out = {};
    let start = 0;
    for (const [name, kind, count] of stream.layout) {
      const size = KINDS[kind].BYTES_PER_ELEMENT, mixed = new Uint8Array(count * size);
      for (let byte = 0; byte < size; byte++)
        for (let i = 0; i < count; i++) mixed[i * size + byte] = raw[start + byte * count + i];
      start += count * size;
      out[name] = new KINDS[kind](mixed.buffer);
      if (kind === "i4") for (let i = 1; i < count; i++) out[name][i] += out[name][i - 1];
    }
    return out;
  }

  function program(gl, [vertex, fragment]) {
    const made = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(made, shader);
    }
    ["at", "move", "normal", "value", "kind"].forEach((name, i) => gl.bindAttribLocation(made, i, name));
    gl.linkProgram(made);
    if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
    const at = {};
    for (let i = 0; i < gl.getProgramParameter(made, gl.ACTIVE_UNIFORMS); i++) {
      const { name } = gl.getActiveUniform(made, i);
      at[name] = gl.getUniformLocation(made, name);
    }
    return { made, at };
  }

  // Four digits, without a string of zeros at either end of the scale.
  function words(x) {
    if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
    const size = Math.abs(x);
    if (size === 0) return "0";
    if (size >= 1e6 || size < 1e-4) {
      const [digits, power] = x.toExponential(3).split("e");
      const raised = String(Number(power)).replace(/./g, (one) => "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"["0123456789-".indexOf(one)]);
      const front = Number(digits);
      return (front === 1 ? "" : front === -1 ? "−" : `${front} × `).replace("-", "−") + `10${raised}`;
    }
    return String(Number(x.toPrecision(4))).replace("-", "−");
  }
  function tickWords(ticks) {
    const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : Math.abs(ticks[0]) || 1;
    const largest = Math.max(...ticks.map(Math.abs));
    if (largest >= 1e6 || step < 1e-4) return ticks.map(words);
    let digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    if (Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6) digits++;
    return ticks.map((t) => (Math.abs(t) < 1e-9 * largest ? 0 : t).toFixed(digits).replace("-", "−"));
  }

  function element(tag, className, parent, text = "") {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text;
    parent.append(made);
    return made;
  }

  class View {
    constructor(figure, data, body) {
      Object.assign(this, { figure, data, body });
      this.stage = figure.querySelector(".stage");
      this.canvas = element("canvas", "", this.stage);
      this.canvas.tabIndex = 0;
      this.canvas.setAttribute("role", "img");
      this.canvas.setAttribute("aria-label", figure.querySelector("img").alt + ", as a 3D view");
      const gl = this.gl = this.canvas.getContext("webgl2", { antialias: true, alpha: false });
      if (!gl) throw new Error("no WebGL here");
      this.over = element("div", "over", this.stage);
      this.said = element("div", "said", this.stage);
      this.said.hidden = true;
      this.geometry();
      this.bar();
      this.legend = element("div", "legend", figure);
      figure.insertBefore(this.legend, figure.querySelector("figcaption"));
      this.paint = program(gl, BODY);
      this.ink = program(gl, LINE);
      this.upload();
      this.front();
      this.listen();
      this.chosen = new Map();
    }

    // Positions in meters about the middle of the part; triangles and edges between vertices.
    geometry() {
      const { body, data } = this, n = body.row.length;
      this.n = n;
      this.at = new Float32Array(3 * n);
      this.normal = new Float32Array(3 * n);
      for (let axis = 0; axis < 3; axis++)
        for (let i = 0; i < n; i++) {
          this.at[3 * i + axis] = data.grain * body.points[axis * n + i];
          this.normal[3 * i + axis] = body.normals[axis * n + i] / 127;
        }
      let count = 0;
      const sets = Object.keys(SPLIT).filter((kind) => body[kind]);
      const wide = (kind) => RIM[kind].length;
      for (const kind of sets) count += body[kind].length / wide(kind) * SPLIT[kind].length;
      this.triangles = new Uint32Array(3 * count);
      let k = 0;
      for (const kind of sets)
        for (let first = 0; first < body[kind].length; first += wide(kind))
          for (const three of SPLIT[kind])
            for (const corner of three) this.triangles[k++] = body[kind][first + corner];
      this.first = new Int32Array(body.node.length).fill(-1);  // a vertex of each row
      for (let i = n - 1; i >= 0; i--) this.first[body.row[i]] = i;
      this.radius = 0;
      for (let i = 0; i < n; i++)
        this.radius = Math.max(this.radius, Math.hypot(...this.at.subarray(3 * i, 3 * i + 3)));
    }

    // Outlines of all facets, each side once.
    rims() {
      const { body } = this, seen = new Set(), out = [];
      for (const kind of Object.keys(RIM)) {
        const conn = body[kind];
        if (!conn) continue;
        const rim = RIM[kind];
        for (let first = 0; first < conn.length; first += rim.length)
          for (let i = 0; i < rim.length; i++) {
            const a = conn[first + rim[i]], b = conn[first + rim[(i + 1) % rim.length]];
            const r = body.row[a], s = body.row[b];
            const key = r < s ? r * body.node.length + s : s * body.node.length + r;
            if (!seen.has(key)) { seen.add(key); out.push(a, b); }
          }
      }
      return Uint32Array.from(out);
    }

    upload() {
      const { gl } = this;
      const buffer = (where, array) => {
        const made = gl.createBuffer();
        gl.bindBuffer(where, made);
        gl.bufferData(where, array, gl.STATIC_DRAW);
        return made;
      };
      this.buffers = {
        at: buffer(gl.ARRAY_BUFFER, this.at),
        normal: buffer(gl.ARRAY_BUFFER, this.normal),
        move: buffer(gl.ARRAY_BUFFER, new Float32Array(3 * this.n)),
        value: buffer(gl.ARRAY_BUFFER, new Float32Array(this.n)),
        kind: buffer(gl.ARRAY_BUFFER, new Float32Array(this.n)),
        triangles: buffer(gl.ELEMENT_ARRAY_BUFFER, this.triangles),
        edges: buffer(gl.ELEMENT_ARRAY_BUFFER, Uint32Array.from(this.body.edges)),
      };
      ["at", "move", "normal", "value", "kind"].forEach((name, i) => {
        gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
        gl.enableVertexAttribArray(i);
        gl.vertexAttribPointer(i, name === "value" || name === "kind" ? 1 : 3, gl.FLOAT, false, 0, 0);
      });
      this.ramp = gl.createTexture();
      gl.bindTexture(gl.TEXTURE_2D, this.ramp);
      for (const wrap of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T])
        gl.texParameteri(gl.TEXTURE_2D, wrap, gl.CLAMP_TO_EDGE);
      for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER])
        gl.texParameteri(gl.TEXTURE_2D, filter, gl.LINEAR);
      gl.enable(gl.DEPTH_TEST);
      gl.depthFunc(gl.LEQUAL);
      gl.clearColor(1, 1, 1, 1);
    }

    // What to choose: field, case, deformation, cells.
    bar() {
      const bar = this.tools = element("div", "tools", this.figure);
      this.figure.prepend(bar);
      const { fields } = this.data;
      const choice = (name, texts) => {
        const label = element("label", "", bar, name + " ");
        const select = element("select", "", label);
        for (const text of texts) element("option", "", select, text).value = text;
        select.addEventListener("change", () => this.choose(name));
        if (texts.length < 2) select.disabled = true;
        return select;
      };
      this.names = choice("field", [...new Set(fields.map((one) => one.name))]);
      this.cases = choice("case", [...new Set(fields.map((one) => one.case))]);
      this.slide = element("label", "", bar, "deformation ");
      this.slider = Object.assign(element("input", "", this.slide),
        { type: "range", min: 0, max: 2, step: 0.02, value: 1 });
      this.slider.setAttribute("aria-label", "deformation");
      this.times = element("output", "", this.slide);
      this.slider.addEventListener("input", () => this.deform(Number(this.slider.value)));
      this.play = element("button", "", bar, "swing");
      this.play.type = "button";
      this.play.addEventListener("click", () => this.swing());
      const cells = element("label", "", bar);
      this.cells = Object.assign(element("input", "", cells), { type: "checkbox" });
      cells.append(" cells");
      this.cells.addEventListener("change", () => this.draw());
      const views = element("span", "views", bar);
      const looks = this.data.flat ? [["whole", null]]
        : [["x", [1, 0, 0]], ["y", [0, 1, 0]], ["z", [0, 0, 1]], ["whole", null]];
      for (const [name, toward] of looks) {
        const button = element("button", "", views, name);
        button.type = "button";
        button.title = toward ? `look along ${name}; again: from the other side` : "the whole part, as at first";
        button.addEventListener("click", () => { if (toward) this.along(toward); else this.front(); });
      }
    }

    async choose(what) {
      const { fields } = this.data;
      const wanted = [this.names.value, this.cases.value];
      const fits = (one) => (one.name === wanted[0]) + (one.case === wanted[1]);
      // Not every field is there in every case: what was just chosen goes first.
      const same = fields.filter((one) => (what === "case" ? one.case === wanted[1] : one.name === wanted[0]));
      const field = (same.length ? same : fields).reduce((best, one) => (fits(one) > fits(best) ? one : best));
      await this.show(field);
    }

    async read(index) {
      if (!this.chosen.has(index)) this.chosen.set(index, await unpack(this.data.streams[index]));
      return this.chosen.get(index);
    }

    async show(field) {
      const { gl, body, n } = this;
      const asked = this.asked = Symbol(field.name);
      const { values, sort } = await this.read(field.values);
      const move = "move" in field ? (await this.read(field.move)).move : null;
      if (this.asked !== asked) return;  // something else was chosen meanwhile
      this.halt();
      this.field = field;
      this.values = values;
      this.sort = sort;
      this.names.value = field.name;
      this.cases.value = field.case;
      this.move = new Float32Array(3 * n);
      const value = new Float32Array(n), kind = new Float32Array(n), rows = body.node.length;
      for (let i = 0; i < n; i++) {
        const row = body.row[i], x = values[row];
        if (move) for (let axis = 0; axis < 3; axis++)
          this.move[3 * i + axis] = field.largest / 32767 * move[axis * rows + row];
        value[i] = sort[row] === 0 || sort[row] === 3 ? 0 : this.inside(x);
        kind[i] = sort[row] === 3 ? 0 : sort[row];
      }
      const fill = (name, array) => {
        gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
        gl.bufferData(gl.ARRAY_BUFFER, array, gl.STATIC_DRAW);
      };
      fill("move", this.move);
      fill("value", value);
      fill("kind", kind);
      const colors = new Uint8Array(field.scale.colors.flatMap((c) =>
        [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)).concat(255)));
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, colors.length / 4, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, colors);
      this.slide.hidden = !move;
      this.play.hidden = !(move && field.swings);
      this.scale();
      this.pins();
      this.said.hidden = true;
      this.deform(move ? Number(this.slider.value) : 0);
    }

    // Values as they are linear between points.
    inside(x) {
      if (this.field.inverse) return 1 / Math.max(x, 1e-12);
      return this.field.scale.log ? Math.log10(Math.max(x, 1e-300)) : x;
    }

    halt() {
      cancelAnimationFrame(this.swinging);
      this.swinging = 0;
      this.play.textContent = "swing";
    }

    deform(share) {
      this.halt();
      this.moved = this.field.factor * share;
      const size = this.field.swings ? "" : `× ${words(Number(this.moved.toPrecision(3)))}`;
      this.times.textContent = this.moved ? size : "off";
      this.draw();
    }

    swing() {
      if (this.swinging) { this.deform(Number(this.slider.value)); return; }
      const most = this.field.factor * (Number(this.slider.value) || 1), start = performance.now();
      this.play.textContent = "stop";
      const step = (now) => {
        this.moved = most * Math.cos((now - start) / 1000 * Math.PI);
        this.swinging = requestAnimationFrame(step);
        this.paintNow();
      };
      this.swinging = requestAnimationFrame(step);
    }

    scale() {
      const { scale, symbol } = this.field, box = this.legend;
      box.textContent = "";
      const low = this.range()[0], span = this.range()[1] - low;
      const share = (x) => `${100 * ((scale.log ? Math.log10(x) : x) - low) / span}%`;
      element("b", "", box, scale.title);
      element("span", "", box, this.field.said);
      const strip = element("div", "strip", box);
      strip.style.background = `linear-gradient(to right, ${scale.colors.join(", ")})`;
      const texts = scale.log ? scale.ticks.map(words) : tickWords(scale.ticks);
      scale.ticks.forEach((tick, i) => {
        const last = i === scale.ticks.length - 1 && Math.abs(tick - scale.high) < 1e-6 * span;
        const mark = scale.above && last ? "≥ " : scale.below && i === 0 && tick === scale.low ? "≤ " : "";
        const text = element("i", "", strip, mark + texts[i]);
        text.style.left = share(tick);
        if (parseFloat(text.style.left) > 96) text.classList.add("last");
      });
      const limited = scale.mark !== null && scale.mark >= scale.low && scale.mark <= scale.high;
      if (limited) {
        const limit = element("u", "", strip, scale.mark_text);
        limit.style.left = share(scale.mark);
        if (parseFloat(limit.style.left) > 70) limit.classList.add("left");
      }
      const more = [];
      if (limited) more.push("dark line on the part: the limit");
      if (this.sort.includes(2)) more.push("pale: not judged");
      if (this.sort.includes(0)) more.push("gray: no value");
      if (this.sort.includes(3)) more.push("gray: singular, no number");
      element("small", "", box, more.join("; "));
      this.symbol = symbol;
    }

    // Words at the extremes and at the peaks of failure zones.
    pins() {
      this.over.textContent = "";
      this.axes = null;
      this.pinned = [];
      for (const [row, number, text] of this.data.zones) {
        const pin = element("span", "pin zone", this.over, String(number));
        pin.title = text;
        this.pinned.push({ row, pin });
      }
      for (const [row, text] of this.field.marks) {
        const zone = this.data.zones.find(([at]) => at === row);
        const pin = zone ? null : element("span", "pin", this.over);  // the zone has one already
        const label = element("span", "word", this.over, (zone ? `zone ${zone[1]}: ` : "") + text.replace("\n", ": "));
        this.pinned.push({ row, pin, label });
      }
    }

    // Looking

    range() {
      const { low, high, log } = this.field.scale;
      return log ? [Math.log10(low), Math.log10(high)] : [low, high];
    }

    front() {
      const [x, y, z] = this.data.toward;
      this.azimuth = this.data.flat ? -Math.PI / 2 : Math.atan2(y, x);
      this.elevation = this.data.flat ? Math.PI / 2 : Math.asin(z);
      this.zoom = 1;
      this.shift = [0, 0];
      this.draw();
    }

    along([x, y, z]) {
      const azimuth = z ? -Math.PI / 2 : Math.atan2(y, x), elevation = z ? Math.PI / 2 : 0;
      const there = Math.abs(Math.cos(azimuth - this.azimuth) - 1) < 1e-6 && this.elevation === elevation;
      this.azimuth = there && !z ? azimuth + Math.PI : azimuth;
      this.elevation = there && z ? -elevation : elevation;
      this.draw();
    }

    turn() {
      const [sa, ca, se, ce] = [Math.sin(this.azimuth), Math.cos(this.azimuth),
        Math.sin(this.elevation), Math.cos(this.elevation)];
      return [[-sa, ca, 0], [-se * ca, -se * sa, ce], [ce * ca, ce * sa, se]];  // right, up, toward
    }

    // Pixels per meter and the place of the part's middle, so that it fills the stage in this direction.
    frame() {
      const width = this.canvas.clientWidth, height = this.canvas.clientHeight;
      const scale = this.zoom * 0.46 * Math.min(width / this.span[0], height / this.span[1]);
      return { width, height, scale,
        x: width / 2 + this.shift[0] * width, y: height / 2 + this.shift[1] * height };
    }

    // Half the size of the part on the stage, the same for all directions: turning does not zoom.
    get span() {
      if (!this.half) {
        const [right, up] = this.data.flat ? [[1, 0, 0], [0, 1, 0]] : this.turn();
        const most = [0, 0];
        for (let i = 0; i < this.n; i++)
          [right, up].forEach((d, k) => {
            const reach = Math.abs(d[0] * this.at[3 * i] + d[1] * this.at[3 * i + 1] + d[2] * this.at[3 * i + 2]);
            most[k] = Math.max(most[k], reach);
          });
        this.half = most.map((x) => 1.12 * x || 1);
      }
      return this.half;
    }

    // Where a vertex is drawn: pixels from the left and top, and nearness to the viewer.
    place(i, [right, up, toward] = this.turn(), frame = this.frame()) {
      const p = [0, 1, 2].map((axis) => this.at[3 * i + axis] + this.moved * this.move[3 * i + axis]);
      const dot = (d) => d[0] * p[0] + d[1] * p[1] + d[2] * p[2];
      return [frame.x + frame.scale * dot(right), frame.y - frame.scale * dot(up), dot(toward)];
    }

    draw() {
      if (!this.field || this.waiting || this.swinging) return;
      this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.paintNow(); });
    }

    paintNow() {
      const { gl, canvas, field } = this;
      const dense = Math.min(window.devicePixelRatio || 1, 2), frame = this.frame();
      const size = [frame.width, frame.height].map((x) => Math.max(1, Math.round(x * dense)));
      if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
      gl.viewport(0, 0, ...size);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      const turn = this.turn();
      const columns = [0, 1, 2].flatMap((axis) => turn.map((row) => row[axis]));
      const both = ({ made, at }, moved) => {
        gl.useProgram(made);
        gl.uniformMatrix3fv(at.turn, false, columns);
        gl.uniform3f(at.middle, 0, 0, 0);
        gl.uniform4f(at.frame, 2 * frame.scale / frame.width, 2 * frame.scale / frame.height,
          2 * frame.x / frame.width - 1, 1 - 2 * frame.y / frame.height);
        gl.uniform1f(at.reach, 0.25 / this.radius);
        gl.uniform1f(at.moved, moved);
      };
      both(this.paint, this.moved);
      const { at } = this.paint, mark = field.scale.mark;
      gl.uniform2f(at.range, ...this.range());
      gl.uniform1i(at.inverse, field.inverse);
      gl.uniform1f(at.limit, mark === null ? 3e38 : this.inside(mark));
      gl.uniform3f(at.key, ...unit([-0.35, 0.45, 1.0]));
      gl.uniform3f(at.fill, ...unit([0.6, -0.8, 0.8]));
      gl.enable(gl.POLYGON_OFFSET_FILL);
      gl.polygonOffset(1, 1);
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.buffers.triangles);
      gl.drawElements(gl.TRIANGLES, this.triangles.length, gl.UNSIGNED_INT, 0);
      gl.disable(gl.POLYGON_OFFSET_FILL);
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
      const lines = (buffer, count, color, moved) => {
        both(this.ink, moved);
        gl.uniform4f(this.ink.at.ink, ...color);
        gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffer);
        gl.drawElements(gl.LINES, count, gl.UNSIGNED_INT, 0);
      };
      if (this.moved) lines(this.buffers.edges, this.body.edges.length, [...GRAY, 0.75], 0);
      lines(this.buffers.edges, this.body.edges.length, [...INK, 0.8], this.moved);
      if (this.cells.checked) {
        if (!this.net) {
          this.net = this.rims();
          this.buffers.net = gl.createBuffer();
          gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.buffers.net);
          gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, this.net, gl.STATIC_DRAW);
        }
        lines(this.buffers.net, this.net.length, [...INK, 0.3], this.moved);
      }
      gl.disable(gl.BLEND);
      this.label(turn, frame);
      this.figure.dataset.state = "drawn";
    }

    label(turn, frame) {
      const taken = [];
      for (const { row, pin, label } of this.pinned) {
        const i = this.first[row];
        const [x, y] = this.place(i, turn, frame);
        const inside = x >= 0 && y >= 0 && x <= frame.width && y <= frame.height;
        const away = turn[2].reduce((sum, t, axis) => sum + t * this.normal[3 * i + axis], 0) < -0.1;
        for (const one of [pin, label]) {
          if (!one) continue;
          one.hidden = !inside;
          one.classList.toggle("away", away && !this.data.flat);
        }
        if (pin) pin.style.transform = `translate(${x}px, ${y}px) translate(-50%, -50%)`;
        if (!label || !inside) continue;
        const wide = label.offsetWidth, high = label.offsetHeight;
        const left = x + 14 + wide > frame.width ? Math.max(x - 14 - wide, 2) : x + 14;
        let top = Math.min(Math.max(y - high - 6, 2), frame.height - high - 2);
        for (const other of taken)
          if (left < other.left + other.wide && other.left < left + wide && Math.abs(top - other.top) < high)
            top = other.top + high + 3 > frame.height - high ? other.top - high - 3 : other.top + high + 3;
        taken.push({ left, top, wide });
        label.style.transform = `translate(${left}px, ${top}px)`;
      }
      // The axes in a corner.
      if (!this.axes) {
        this.axes = ["x", "y", "z"].map((name) => element("span", `axis ${name}`, this.over));
        this.axes.forEach((span, axis) => { span.dataset.name = "xyz"[axis]; });
      }
      this.axes.forEach((span, axis) => {
        const [x, y] = [turn[0][axis], -turn[1][axis]];
        const length = 30 * Math.hypot(x, y);
        span.style.setProperty("--long", `${length}px`);
        span.style.setProperty("--turn", `${Math.atan2(y, x)}rad`);
        span.style.setProperty("--back", `${-Math.atan2(y, x)}rad`);
        span.style.opacity = length < 4 ? 0 : 1;
      });
    }

    // Reading values: the nearest triangle under the pointer, and of its points the one that is closest.
    probe(x, y) {
      const turn = this.turn(), frame = this.frame(), { triangles, n } = this;
      if (this.placed !== this.key()) {
        this.placed = this.key();
        this.where = new Float32Array(3 * n);
        for (let i = 0; i < n; i++) this.where.set(this.place(i, turn, frame), 3 * i);
      }
      const w = this.where;
      let best = -1, depth = -Infinity;
      for (let k = 0; k < triangles.length; k += 3) {
        const a = 3 * triangles[k], b = 3 * triangles[k + 1], c = 3 * triangles[k + 2];
        const abx = w[b] - w[a], aby = w[b + 1] - w[a + 1], acx = w[c] - w[a], acy = w[c + 1] - w[a + 1];
        const area = abx * acy - acx * aby;
        if (area === 0) continue;
        const px = x - w[a], py = y - w[a + 1];
        const s = (px * acy - acx * py) / area, t = (abx * py - px * aby) / area;
        if (s < 0 || t < 0 || s + t > 1) continue;
        const z = w[a + 2] + s * (w[b + 2] - w[a + 2]) + t * (w[c + 2] - w[a + 2]);
        if (z > depth) { depth = z; best = k; }
      }
      if (best < 0) return null;
      const three = [0, 1, 2].map((i) => triangles[best + i]);
      const far = (i) => Math.hypot(w[3 * i] - x, w[3 * i + 1] - y);
      return three.reduce((a, b) => (far(b) < far(a) ? b : a));
    }

    key() {
      const { azimuth, elevation, zoom, shift, moved, field } = this;
      return [azimuth, elevation, zoom, ...shift, moved, this.canvas.clientWidth, this.canvas.clientHeight,
        this.data.fields.indexOf(field)].join();
    }

    tell(x, y) {
      if (this.swinging) return;
      const i = this.probe(x, y);
      this.said.hidden = i === null;
      if (i === null) return;
      const row = this.body.row[i], [factor, symbol] = this.data.length;
      // Places to a ten thousandth of the part.
      const digits = Math.max(0, Math.ceil(4 - Math.log10(factor * 65534 * this.data.grain)));
      const at = [0, 1, 2].map((axis) =>
        words(Number((factor * (this.at[3 * i + axis] + this.data.middle[axis])).toFixed(digits)) + 0));
      const value = this.values[row], sort = this.sort[row];
      const unitText = this.symbol && Number.isFinite(value) ? ` ${this.symbol}` : "";
      this.said.textContent = "";
      element("b", "", this.said, sort === 0 ? "no value" : sort === 3 ? "singular" : words(value) + unitText);
      if (sort === 2) element("span", "", this.said, "not judged");
      element("span", "", this.said, `(${at.join(", ")}) ${symbol}`);
      element("span", "", this.said, `node ${this.body.node[row]}`);
      const [px, py] = this.place(i), wide = this.said.offsetWidth, high = this.said.offsetHeight;
      const left = Math.min(Math.max(px - wide / 2, 4), this.canvas.clientWidth - wide - 4);
      const top = py - high - 14 < 4 ? py + 14 : py - high - 14;
      this.said.style.transform = `translate(${left}px, ${top}px)`;
    }

    // Hands

    listen() {
      const { canvas } = this, down = new Map();
      const at = (event) => {
        const box = canvas.getBoundingClientRect();
        return [event.clientX - box.left, event.clientY - box.top];
      };
      const spread = () => {
        const [a, b] = [...down.values()];
        return { far: Math.hypot(a[0] - b[0], a[1] - b[1]), middle: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2] };
      };
      let went = 0;
      canvas.addEventListener("pointerdown", (event) => {
        canvas.setPointerCapture(event.pointerId);
        canvas.focus({ preventScroll: true });
        down.set(event.pointerId, at(event));
        went = 0;
      });
      canvas.addEventListener("pointermove", (event) => {
        const here = at(event);
        if (!down.has(event.pointerId)) { this.tell(...here); return; }
        const before = down.get(event.pointerId), [dx, dy] = [here[0] - before[0], here[1] - before[1]];
        went += Math.hypot(dx, dy);
        this.said.hidden = true;
        if (down.size === 2) {
          const old = spread();
          down.set(event.pointerId, here);
          const now = spread();
          this.pan(now.middle[0] - old.middle[0], now.middle[1] - old.middle[1]);
          if (old.far > 0) this.scaleBy(now.far / old.far, now.middle);
          return;
        }
        down.set(event.pointerId, here);
        if (event.buttons & 6 || event.shiftKey || this.data.flat) this.pan(dx, dy);
        else this.rotate(-dx * 0.008, dy * 0.008);
      });
      const up = (event) => {
        down.delete(event.pointerId);
        if (event.type === "pointerup" && went < 4) this.tell(...at(event));
      };
      canvas.addEventListener("pointerup", up);
      canvas.addEventListener("pointercancel", up);
      canvas.addEventListener("pointerleave", () => { if (!down.size) this.said.hidden = true; });
      canvas.addEventListener("contextmenu", (event) => event.preventDefault());
      canvas.addEventListener("dblclick", () => this.front());
      // The wheel scrolls the page until the view is clicked.
      canvas.addEventListener("wheel", (event) => {
        if (document.activeElement !== canvas && !event.ctrlKey) return;
        event.preventDefault();
        const lines = event.deltaMode === 1 ? 16 : 1;
        this.scaleBy(Math.exp(-event.deltaY * lines * 0.0015), at(event));
      }, { passive: false });
      canvas.addEventListener("keydown", (event) => {
        const step = 0.1, middle = [canvas.clientWidth / 2, canvas.clientHeight / 2];
        const act = {
          ArrowLeft: () => this.rotate(step, 0), ArrowRight: () => this.rotate(-step, 0),
          ArrowUp: () => this.rotate(0, -step), ArrowDown: () => this.rotate(0, step),
          "+": () => this.scaleBy(1.2, middle), "-": () => this.scaleBy(1 / 1.2, middle), Home: () => this.front(),
        }[event.key];
        if (act) { event.preventDefault(); act(); }
      });
      new ResizeObserver(() => this.draw()).observe(canvas);
      canvas.addEventListener("webglcontextlost", () => { this.figure.dataset.state = "picture"; });
    }

    rotate(azimuth, elevation) {
      if (this.data.flat) return;
      this.azimuth += azimuth;
      this.elevation = Math.min(Math.max(this.elevation + elevation, -Math.PI / 2), Math.PI / 2);
      this.draw();
    }

    pan(dx, dy) {
      this.shift[0] += dx / this.canvas.clientWidth;
      this.shift[1] += dy / this.canvas.clientHeight;
      this.draw();
    }

    scaleBy(factor, [x, y]) {
      const zoom = Math.min(Math.max(this.zoom * factor, 0.3), 200), by = zoom / this.zoom, frame = this.frame();
      this.zoom = zoom;
      this.shift[0] = (x + (frame.x - x) * by) / frame.width - 0.5;
      this.shift[1] = (y + (frame.y - y) * by) / frame.height - 0.5;
      this.draw();
    }
  }

  async function start(figure) {
    try {
      const data = JSON.parse(figure.querySelector("script").textContent);
      const view = new View(figure, data, await unpack(data.body));
      figure.dataset.state = "view";
      await view.show(data.fields[0]);
    } catch (error) {
      // An old browser, or one without graphics: the picture is as good as it gets, and says so.
      figure.querySelectorAll("canvas, .tools, .legend, .over, .said").forEach((one) => one.remove());
      figure.dataset.state = "picture";
      figure.querySelector(".hint").textContent =
        "This browser draws no 3D view (" + error.message + "); the picture shows the same.";
    }
  }

  // Browsers hold few graphics contexts: a view begins when it comes into sight.
  const watch = new IntersectionObserver((seen) => {
    for (const one of seen)
      if (one.isIntersecting) { watch.unobserve(one.target); start(one.target); }
  }, { rootMargin: "200px" });
  document.querySelectorAll("figure.view").forEach((figure) => watch.observe(figure));
})();
