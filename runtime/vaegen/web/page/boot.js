/**
 * Starts a page that is one file: unpacks what `vaegen.explorer` packed into it, and hands over to main.js.
 *
 * The builder writes this text into the page. It keeps to the syntax of 2015, so that a browser that is too old runs as
 * much of it as tells the reader so.
 */

(function () {
  "use strict";

  var FIRST = 0x100; // the code units 0x100 to 0xd7ff and 0xe000 to 0xfdcf are the digits, in the builder's base
  var GAP = 0xd800 - FIRST;
  var BASE = GAP + 0xfdd0 - 0xe000;

  var OLD = "Your browser is too old for this page: it needs Chrome 105, Firefox 113, Safari 17.4 or newer.";
  var DAMAGED = "This page is damaged and cannot start: get the file again, or make it with:"
    + " vaegen explore -o page.html";

  /** @param {string} sentence to show in place of the page */
  function refuse(sentence) {
    var root = document.documentElement;
    var main = document.querySelector("main");
    if (!main || root.dataset.state) return; // what comes later, the page itself reports
    root.dataset.state = "failed";
    var notice = document.createElement("p");
    notice.setAttribute("role", "alert");
    notice.textContent = sentence;
    main.textContent = "";
    main.appendChild(notice);
  }

  /**
   * Turn the digits of a text back into the bytes that the builder wrote in their base, 16 bits at a time.
   * @param {string} text
   * @param {number} length in bytes
   */
  function bytesOf(text, length) {
    var words = new Uint16Array(Math.ceil(length / 2));
    var size = 0;
    var state = 0;
    for (var at = 0; at < text.length; at++) {
      var unit = text.charCodeAt(at);
      state = Math.imul(state, BASE) + unit - (unit < 0xd800 ? FIRST : FIRST + 0x800) >>> 0;
      if (state > 0xffff) {
        words[size++] = state & 0xffff;
        state >>>= 16;
      }
    }
    if (state !== 1 || size !== words.length) throw new Error("The packed text is not whole.");
    return new Uint8Array(words.buffer, 0, length);
  }

  /**
   * Take the parts out of what was packed: after its length, a JSON text, then the graphs, all their even bytes first.
   * @param {ArrayBuffer} buffer
   */
  function start(buffer) {
    var length = new DataView(buffer).getUint32(0, true);
    var head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    var planes = new Uint8Array(buffer, 4 + length);
    var half = planes.length / 2;
    var graphs = new Uint8Array(planes.length);
    for (var at = 0; at < half; at++) {
      graphs[2 * at] = planes[at];
      graphs[2 * at + 1] = planes[half + at];
    }

    var place = 0;
    /** @type {Record<string, Record<string, string | Uint8Array>>} */
    var bundles = {};
    Object.keys(head.bundles).forEach(function (model) {
      bundles[model] = { "manifest.json": head.bundles[model].manifest };
      head.bundles[model].graphs.forEach(function (/** @type {[string, number]} */ graph) {
        bundles[model][graph[0]] = graphs.subarray(place, place + graph[1]);
        place += graph[1] + graph[1] % 2;
      });
    });
    Object.assign(window, { vaegenBundles: bundles });

    var script = document.createElement("script");
    script.type = "module";
    script.src = URL.createObjectURL(new Blob([head.script], { type: "text/javascript" }));
    script.onerror = function () {
      refuse(OLD);
    };
    document.body.appendChild(script);
  }

  addEventListener("error", function (event) {
    refuse("This page cannot start here: " + event.message);
  });
  addEventListener("unhandledrejection", function (event) {
    refuse("This page cannot start here: " + event.reason);
  });
  document.addEventListener("DOMContentLoaded", function () {
    var packed = document.getElementById("packed");
    if (typeof DecompressionStream === "undefined") {
      refuse(OLD);
      return;
    }
    Promise.resolve().then(function () {
      var bytes = bytesOf(packed && packed.textContent || "", Number(packed && packed.dataset.bytes));
      if (packed) packed.remove();
      return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
    }).then(start).catch(function () {
      refuse(DAMAGED);
    });
  });
})();
