/** The parts of the page that need no page: its address, its commands, its files, its words. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { inflateSync } from "node:zlib";

import { commandFor, quote, sheetCommand } from "../../runtime/vaegen/web/page/command.js";
import { parseLatent, sizeOf, spellLatent } from "../../runtime/vaegen/web/page/latent.js";
import { encodePng, enlarge, factsOf, fileName, floatText } from "../../runtime/vaegen/web/page/png.js";
import { nameColor, strokeColor, hsvToHex, toHsv } from "../../runtime/vaegen/web/page/shades.js";
import { parseColors, parseDigits } from "../../runtime/vaegen/web/page/sheet.js";
import { initial, readAddress, Store, writeAddress } from "../../runtime/vaegen/web/page/store.js";

/** @param {string} path @returns {import("../../runtime/vaegen/web/page/latent.js").Spec} */
const spec = (path) => JSON.parse(readFileSync(new URL(`../../${path}/manifest.json`, import.meta.url), "utf8")).model;
const specs = {
  joint: spec("runtime/vaegen/models/joint"),
  discrete: spec("runtime/vaegen/models/discrete"),
  continuous: spec("runtime/vaegen/models/continuous"),
};
const plain = { ...specs.joint, style: null };
const state = initial("joint");

/** A latent of a model: Gaussian-like coordinates, and classes. */
function latentOf(/** @type {typeof plain} */ its) {
  const latent = new Float32Array(sizeOf(its));
  const { continuous, categorical: [n, k] } = its.latent;
  for (let at = 0; at < continuous; at++) latent[at] = 3 * Math.sin(at + 1) * 10 ** (-at % 9);
  for (let one = 0; one < n; one++) latent[continuous + one * k + ((7 * one) % k)] = 1;
  return latent;
}

test("an address brings back the state that it was written from", () => {
  const states = [
    state,
    { ...state, model: "discrete", digit: 0, color: "hsl(30, 100%, 50%)", seed: 2n ** 64n - 1n, item: 2n ** 62n },
    { ...state, color: "#f80", slant: -12.5, thickness: 2.1, hand: 0n },
    ...Object.entries(specs).map(([model, its]) => ({ ...state, model, latent: latentOf(its) })),
  ];
  for (const one of states) {
    const address = writeAddress(one, specs[/** @type {"joint"} */ (one.model)]);
    assert.doesNotMatch(address.slice(1), /[\s#<>"]/);
    assert.deepEqual(readAddress(address, specs), { state: one, problems: [] });
  }
  assert.equal(writeAddress(state, specs.joint), "#model=joint&digit=3&color=red&seed=0&item=0");
});

test("what an address gets wrong is said, and the rest of it holds", () => {
  const wrong = {
    "digit=12": /^Digit "12": choose from 0 to 9\.$/, "digit=": /Digit ""/, "digit=-1": /Digit "-1"/, "digit=3.0": /Digit/,
    "model=jiont": /no model "jiont": it has joint, discrete, continuous/, "color=redd": /^Unknown color 'redd'; did you mean red\?$/, "color=black": /too dark.*255\.$/,
    "seed=18446744073709551616": /Seed/, "seed=1e3": /Seed/, "item=4611686018427387905": /Item/, "slant=61": /-60 to 60 degrees/,
    "slant=NaN": /Slant/, "slant=Infinity": /Slant/, "thickness=0x2": /0\.5 to 8 pixels/, "hand=-1": /Hand/,
    "latent=1,2": /latent does not fit the model joint/, "latent=": /latent/, "__proto__=1": /"__proto__" means nothing/,
    "constructor=1": /constructor/, "%E0%A4%A=1": /means nothing/, [`digit=${"9".repeat(5000)}`]: /^.{1,90}$/,
    "digit=%0A%1B[2J%E2%80%AE": /^Digit "\?\?\[2J[^\n]*": choose/,
  };
  for (const [part, message] of Object.entries(wrong)) {
    const { state: read, problems } = readAddress(`#${part}&item=7`, specs);
    assert.deepEqual(read, { ...state, item: 7n }, part);
    assert.equal(problems.length, 1, part);
    assert.match(problems[0], message);
  }
  const many = readAddress(`#${Array.from({ length: 999 }, (_, at) => `x${at}=1`).join("&")}`, specs);
  assert.equal(many.problems.length, 3);
  assert.deepEqual(readAddress("#slant=5", { joint: plain }).problems, ["The model joint knows no slant."]);
  assert.deepEqual(readAddress("", specs), { state, problems: [] });
});

test("a latent is dropped by whatever else is asked for, and so is a style that a model lacks", () => {
  const store = new Store(state, { ...specs, plain });
  const seen = /** @type {unknown[]} */ ([]);
  const end = store.subscribe((now, before) => seen.push([now.digit, before.digit]));
  store.set({ digit: 3 });
  assert.deepEqual(seen, [], "nothing changed");
  const latent = latentOf(specs.joint);
  store.set({ latent });
  assert.equal(store.get().latent, latent);
  store.set({ digit: 5, slant: 10 });
  assert.equal(store.get().latent, null);
  store.set({ model: "plain" });
  assert.equal(store.get().slant, null);
  end();
  store.set({ digit: 1 });
  assert.deepEqual(seen, [[3, 3], [5, 3], [5, 5]]);
});

test("commands are those of the shell", () => {
  assert.equal(commandFor(state, specs.joint), "vaegen sample --model joint --digit 3 --color red --seed 0 --start 0");
  const asked = { ...state, color: "hsl(30, 100%, 50%)", item: 7n, slant: -12.5, hand: 4n };
  assert.equal(commandFor(asked, specs.joint, 10), "vaegen sample --model joint --digit 3 --color 'hsl(30, 100%, 50%)' "
    + "--seed 0 --start 7 --slant -12.5 --hand 4 --scale 10");
  const code = commandFor({ ...state, model: "discrete", latent: latentOf(specs.discrete) }, specs.discrete);
  assert.match(code, /^vaegen decode --model discrete --latent ';0,7,/);
  assert.equal(sheetCommand(state, "0-9", "red,rgb(1,2,99)", 4), "vaegen sample --model joint --digit 0-9 "
    + "--color 'red,rgb(1,2,99)' --seed 0 --start 0 --grid --scale 4 -o sheet.png");
  assert.equal(quote("a'b; rm -rf $HOME"), `'a'\\''b; rm -rf $HOME'`);
  assert.equal(quote("#f80"), "'#f80'");
  assert.equal(quote(""), "''");
});

test("a latent's text is short, and the same float32 numbers again", () => {
  for (const its of Object.values(specs)) {
    const latent = latentOf(its);
    assert.deepEqual(parseLatent(spellLatent(latent, its), its), latent);
    const soft = latent.map((value) => value * Math.fround(0.9));
    const both = Float32Array.from(latent).fill(1, -2);
    for (const one of [soft, both]) assert.deepEqual(parseLatent(spellLatent(one, its), its), one);
    assert.throws(() => parseLatent(spellLatent(latent.map((value) => value * 1e7), its), its), /does not fit/);
  }
  const latent = latentOf(specs.joint).fill(0, 0, 35);
  latent.set([0.1, -2.5, 1e-7]);
  assert.match(spellLatent(latent, specs.joint), /^0\.1,-2\.5,1e-7,0,.*;0,7,4,1,/);
});

/** The chunks of a PNG file, their checksums compared with a table-free CRC-32. */
function chunksOf(/** @type {Uint8Array} */ bytes) {
  assert.deepEqual([...bytes.subarray(0, 8)], [0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const chunks = [];
  for (let at = 8; at < bytes.length; at += 12 + view.getUint32(at)) {
    const size = view.getUint32(at);
    let crc = 0xffffffff;
    for (const byte of bytes.subarray(at + 4, at + 8 + size)) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
    assert.equal(view.getUint32(at + 8 + size), ~crc >>> 0);
    const text = Buffer.from(bytes.subarray(at + 4, at + 8)).toString("latin1");
    chunks.push({ kind: text, content: Buffer.from(bytes.subarray(at + 8, at + 8 + size)) });
  }
  return chunks;
}

test("PNG files hold every pixel and every text", async () => {
  const image = Uint8Array.from({ length: 5 * 3 * 3 }, (_, at) => 5 * at); // 3 rows of 5
  const chunks = chunksOf(await encodePng(image, 5, [["vaegen:color", "red"], ["vaegen:model", "mañana ☀"]]));
  assert.deepEqual(chunks.map(({ kind }) => kind), ["IHDR", "tEXt", "iTXt", "IDAT", "IEND"]);
  assert.deepEqual([...chunks[0].content], [0, 0, 0, 5, 0, 0, 0, 3, 8, 2, 0, 0, 0]);
  assert.equal(chunks[1].content.toString("latin1"), "vaegen:color\0red");
  assert.equal(chunks[2].content.toString("utf8"), "vaegen:model\0\0\0\0\0mañana ☀");
  const rows = inflateSync(chunks[3].content);
  assert.deepEqual([...rows].filter((_, at) => at % 16), [...image]);
  assert.deepEqual([...enlarge(Uint8Array.of(1, 2, 3, 4, 5, 6), 2, 2)], [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6,
    1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6]);
});

test("a file says what `vaegen sample` and `vaegen decode` say", () => {
  const facts = Object.fromEntries(factsOf({ ...state, slant: 15, item: 3n }, specs.joint, "ab12", "9.8"));
  assert.deepEqual(facts, {
    "vaegen:model": "joint", "vaegen:bundle": "ab12", "vaegen:version": "9.8", "vaegen:seed": "0",
    "vaegen:temperature": "1.0", "vaegen:tries": "8", "vaegen:slant": "15.0", "vaegen:index": "3", "vaegen:digit": "3", "vaegen:color": "red",
  });
  assert.deepEqual([1, 0.1, -12.5, 1e-5, 2.5e-7, 0].map(floatText), ["1.0", "0.1", "-12.5", "1e-05", "2.5e-07", "0.0"]);
  const names = ["red", "#ff8000", "hsl(30, 100%, 50%)"].map((color) => fileName({ ...state, color }));
  assert.deepEqual(names, ["red-3.png", "ff8000-3.png", "hsl-30-100-50-3.png"]);
});

test("a sheet reads lists as the command does", () => {
  assert.deepEqual(parseDigits("0-2, 7,3"), [0, 1, 2, 7, 3]);
  for (const text of ["", "10", "3-1", "a", "1,,2"]) assert.throws(() => parseDigits(text), /Digits are a list/);
  assert.deepEqual(parseColors("red, hsl(30,100%,50%),#f80"), ["red", "hsl(30,100%,50%)", "#f80"]);
  assert.deepEqual(parseColors("255,128,0,red,1,2,99"), ["rgb(255,128,0)", "red", "rgb(1,2,99)"]);
  assert.throws(() => parseColors("red,"), /Unknown color/);
});

test("colors have names, and strokes have colors", () => {
  const names = { "#ff0000": "red", "#ffa500": "orange", "#00ff00": "green", "#000080": "dark blue", "#ffffff": "white",
    "#808080": "gray", "#ffb6c1": "light red", "#800080": "dark pink", "#00ffff": "turquoise" };
  for (const [text, name] of Object.entries(names)) {
    const rgb = [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
    assert.equal(nameColor(rgb), name, text);
    assert.equal(hsvToHex(toHsv(rgb)), text);
  }
  const image = new Uint8Array(2352);
  for (let at = 0; at < 50; at++) image.set([200, 100, 0], 3 * at);
  assert.equal(strokeColor(image), "#c86400");
  assert.equal(strokeColor(image.map((value) => value / 20)), "#201000", "as dark as can be asked for");
  assert.equal(strokeColor(image.fill(0)), "#202020");
});
