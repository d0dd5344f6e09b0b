/** The arithmetic behind the explorer's pads, walks and pen. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { inflateSync } from "node:zlib";

import { encodeAnimation } from "../../runtime/vaegen/web/page/apng.js";
import { borders, regions } from "../../runtime/vaegen/web/page/contour.js";
import { along, bilinear, nearest, principal } from "../../runtime/vaegen/web/page/math.js";
import { blender, classOf, partsOf, recolored, settle, withPart } from "../../runtime/vaegen/web/page/moves.js";
import { around } from "../../runtime/vaegen/web/page/pad.js";
import { inked, rasterize, smooth } from "../../runtime/vaegen/web/page/stroke.js";
import { routeAlong } from "../../runtime/vaegen/web/page/toggles.js";
import { shareAt } from "../../runtime/vaegen/web/page/walk.js";

const joint = {
  latent: {
    continuous: 4,
    categorical: [2, 3],
    names: { continuous: ["shape 0", "hue", "saturation", "value"], categorical: ["digit", "code 0"] },
  },
};
const near = (one, other, within) => assert.ok(Math.abs(one - other) <= within, `${one} is not ${other}`);

test("principal directions are those of an ellipsoid that was turned", () => {
  const size = 5;
  const turn = 0.6;
  const rows = [];
  for (let row = 0; row < 64; row++) {
    const [a, b, c] = [3 * Math.sin(row), 2 * Math.cos(1.7 * row), 0.1 * Math.sin(3.1 * row)];
    rows.push(a * Math.cos(turn) - b * Math.sin(turn), 7 + a * Math.sin(turn) + b * Math.cos(turn), c, 1, 0);
  }
  const { mean, directions, deviations } = principal(rows, size, 2);
  near(mean[1], 7, 0.2);
  near(deviations[0], 3 / Math.SQRT2, 0.1);
  near(deviations[1], 2 / Math.SQRT2, 0.1);
  near(Math.abs(directions[0][0]), Math.cos(turn), 0.05);
  near(Math.abs(directions[0][1]), Math.sin(turn), 0.05);
  near(directions[0].reduce((sum, value, at) => sum + value * directions[1][at], 0), 0, 1e-9);
  assert.deepEqual(principal(rows, size, 2), { mean, directions, deviations });
  assert.deepEqual([...nearest([0, 0, 5, 5, 1, 1], [0.9, 1], 2)], [1, 1, 0, 0]);
});

test("moved latents stay where digits are", () => {
  const settled = settle([9, -2.3, 1.4, -0.2, 1.4, -0.4, 0, 0.5, 0.5, 0], joint);
  assert.deepEqual([...settled.slice(0, 4)], [4, Math.fround(-2.3), 1, 0]);
  assert.deepEqual([...settled.slice(4)], [1, 0, 0, 0.5, 0.5, 0]);
  const [, , , , digit] = partsOf(joint);
  assert.equal(classOf(settled, digit), 0);
  assert.deepEqual([...withPart(settled, digit, 2).slice(4, 7)], [0, 0, 1]);
});

test("a blend begins and ends at its latents, and hues take the shorter way", () => {
  const ends = [
    [0, 0.9, 1, 1, 1, 0, 0, 1, 0, 0], [2, 0.1, 1, 0.5, 0, 1, 0, 1, 0, 0],
    [-2, 0.3, 0, 1, 0, 0, 1, 0, 0, 1], [1, 0.8, 1, 1, 1, 0, 0, 0, 1, 0],
  ].map((end) => Float32Array.from(end));
  const blend = blender(ends, joint);
  assert.deepEqual(blend(bilinear(0, 0)), ends[0]);
  assert.deepEqual(blend(bilinear(1, 1)), ends[3]);
  const middle = blend([0.5, 0.5, 0, 0]);
  near(middle[0], 1, 1e-6);
  near(middle[1], 1, 1e-6);
  near(middle[4] + middle[5] + middle[6], 1, 1e-6);
  near(blend([0.5, 0, 0.5, 0])[1], 0.9, 1e-4); // gray has no hue of its own
  let before = blend([1, 0, 0, 0]);
  for (let step = 1; step <= 200; step++) {
    const now = blend(bilinear(step / 200, step / 200));
    now.forEach((value, at) => near(value, before[at], 0.05));
    before = now;
  }
});

test("a digit takes another's color and keeps its shape", () => {
  const [one, other] = [Float32Array.from([1, 0.1, 0.2, 0.3, 1, 0, 0, 1, 0, 0]), new Float32Array(10).fill(0.7)];
  const tenths = Array.from(recolored(one, other, joint), (value) => Math.round(10 * value));
  assert.deepEqual(tenths, [10, 7, 7, 7, 10, 0, 0, 10, 0, 0]);
  const plain = { latent: { continuous: 1, categorical: [0, 0], names: { continuous: ["shape 0"], categorical: [] } } };
  assert.equal(recolored([1], [0], plain), null);
});

test("the pad has the digit in its middle, and ends where such digits do", () => {
  const latents = Float32Array.from({ length: 96 * 10 }, (_, at) => {
    const [row, place] = [Math.floor(at / 10), at % 10];
    return [Math.sin(row) * Math.SQRT2, 0.5, 1, 1, 0, 1, 0, 1, 0, 0][place];
  });
  const center = Float32Array.from([1.4, 0.5, 1, 1, 0, 1, 0, 1, 0, 0]);
  const latentAt = around(center, latents, joint, false);
  assert.deepEqual(latentAt({ x: 0.5, y: 0.5 }), center);
  const [left, right] = [latentAt({ x: 0, y: 0.5 })[0], latentAt({ x: 1, y: 0.5 })[0]];
  assert.ok(left < 1 && right > 1.5 && 1.5 * (right - center[0]) < center[0] - left, `${left} to ${right}`);
  assert.ok(around(center, latents, joint, true)({ x: 1, y: 0.5 })[0] > right);
});

test("a walk goes there and back, or around", () => {
  const turns = [0, 0.25, 0.5, 0.75, 1];
  assert.deepEqual(turns.map((turn) => shareAt({ closed: false }, turn)), [0, 0.5, 1, 0.5, 0]);
  assert.deepEqual(turns.map((turn) => shareAt({ closed: true }, turn)), [0, 0.25, 0.5, 0.75, 0]);
  const square = routeAlong([{ x: 0, y: 0 }, { x: 1, y: 0 }, { x: 1, y: 1 }], ({ x, y }) => Float32Array.of(x, y));
  assert.deepEqual([0, 0.5, 0.75, 1].map((t) => [...square(t)]), [[0, 0], [1, 0], [1, 0.5], [1, 1]]);
});

test("borders run where readings meet", () => {
  const side = 9;
  const probabilities = [];
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const lean = Math.hypot(column - 4, row - 4) - 2.5;
      probabilities.push(1 / (1 + Math.exp(-lean)), 1 / (1 + Math.exp(lean)));
    }
  }
  const lines = borders(probabilities, side);
  assert.ok(lines.length >= 4 * 12, "a ring");
  for (let at = 0; at < lines.length; at += 2) near(8 * Math.hypot(lines[at] - 0.5, lines[at + 1] - 0.5), 2.5, 0.2);
  assert.deepEqual(regions(probabilities, side).map((region) => region.digit), [0, 1]);
  assert.deepEqual(regions(probabilities, side)[1], { digit: 1, x: 0.5, y: 0.5 });
  assert.equal(borders(probabilities.map((_, at) => at % 2), side).length, 0);

  // Three digits, each the most probable near one corner of a triangle: their borders meet in one point.
  const three = [];
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 3; column++) three.push(...[column - 1.1, row - 1, 1 - column - row].map(Math.exp));
  }
  const met = borders(three, 3);
  const places = new Map();
  for (let at = 0; at < met.length; at += 4) {
    const [left, top, right, bottom] = met.slice(at, at + 4);
    const [x, y] = [left + right, top + bottom]; // twice the middle, which is on a grid of 3 points
    const [most, next] = [x - 1.1, y - 1, 1 - x - y].sort((one, other) => other - one);
    near(most, next, 1e-9);
    for (const end of [[left, top], [right, bottom]]) {
      const key = end.map((share) => share.toFixed(6)).join();
      places.set(key, (places.get(key) ?? 0) + 1);
    }
  }
  assert.equal([...places.values()].filter((times) => times === 3).length, 1);
});

test("a drawing becomes 20 pixels high, its center of mass in the middle, at any size and place", () => {
  const seven = [[{ x: 300, y: 100 }, { x: 380, y: 100 }, { x: 350, y: 300 }]];
  const pixels = rasterize(seven);
  let [sum, x, y] = [0, 0, 0];
  const rows = new Set();
  pixels.forEach((value, at) => {
    sum += value;
    x += value * ((at % 28) + 0.5);
    y += value * (Math.floor(at / 28) + 0.5);
    if (value > 0.5) rows.add(Math.floor(at / 28));
  });
  near(x / sum, 14, 0.1);
  near(y / sum, 14, 0.1);
  assert.equal(rows.size, 20);
  assert.equal(Math.max(...pixels), 1);
  const moved = rasterize([seven[0].map((point) => ({ x: point.x / 50 - 9, y: point.y / 50 }))]);
  moved.forEach((value, at) => near(value, pixels[at], 1e-4));
  assert.ok(Math.max(...rasterize([[{ x: 5, y: 5 }]])) > 0.9, "a dot");
  assert.ok(rasterize([]).every((value) => value === 0));
  assert.deepEqual([...inked(Float32Array.of(0, 0.5, 1), [255, 0, 9])], [0, 0, 0, 128, 0, 5, 255, 0, 9]);
  const curve = smooth(seven[0]);
  assert.deepEqual([curve[0], curve.at(-1)], [seven[0][0], seven[0][2]]);
});

test("a walk goes at an even pace", () => {
  const points = along([{ x: 0, y: 0 }, { x: 3, y: 0 }, { x: 3, y: 1 }], 5);
  assert.deepEqual(points, [{ x: 0, y: 0 }, { x: 1, y: 0 }, { x: 2, y: 0 }, { x: 3, y: 0 }, { x: 3, y: 1 }]);
});

test("an animated PNG holds its frames, bit by bit", async () => {
  const frames = [0, 1, 2].map((frame) => Uint8Array.from({ length: 2 * 2 * 3 }, (_, at) => 20 * at + frame));
  const bytes = Buffer.from(await encodeAnimation(frames, 2, 50, [["vaegen:model", "joint"]]));
  const chunks = [];
  for (let at = 8; at < bytes.length; at += 12 + bytes.readUInt32BE(at)) {
    chunks.push([bytes.toString("latin1", at + 4, at + 8), bytes.subarray(at + 8, at + 8 + bytes.readUInt32BE(at))]);
  }
  assert.deepEqual(chunks.map(([type]) => type), [
    "IHDR", "acTL", "tEXt", "fcTL", "IDAT", "fcTL", "fdAT", "fcTL", "fdAT", "IEND"]);
  assert.deepEqual([...chunks[1][1]], [0, 0, 0, 3, 0, 0, 0, 0]);
  const numbered = chunks.filter(([type]) => type === "fcTL" || type === "fdAT");
  assert.deepEqual(numbered.map(([, data]) => data.readUInt32BE(0)), [0, 1, 2, 3, 4]);
  const rows = [...inflateSync(chunks[8][1].subarray(4))];
  assert.deepEqual(rows, [0, ...frames[2].subarray(0, 6), 0, ...frames[2].subarray(6)]);
});
