/**
 * Pictures of the explorer for the docs, by Chromium: a telephone's screen and a laptop's.
 *
 *     vaegen explore -o page.html
 *     node tests/web/browser/shots.js page.html docs/explore
 *
 * writes docs/explore-390x844.png and docs/explore-1280x800.png, and docs/explore-pad-... with the pad in view.
 */

import { tmpdir } from "node:os";
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

import { launch } from "./drive.js";

const [page, target, program = "/usr/bin/chromium"] = process.argv.slice(2);
const browser = await launch("chromium", program, tmpdir());
try {
  for (const [width, height] of [[390, 844], [1280, 800]]) {
    await browser.resize(width, height);
    await browser.open(`${pathToFileURL(page).href}#digit=3&color=%23ff8000`);
    for (const scene of ["", "-pad"]) {
      if (scene) {
        await browser.evaluate(() => {
          document.querySelector("#pad .plane").scrollIntoView({ block: "end", behavior: "instant" });
        });
      }
      await sleep(5000); // until what is painted in the background stands
      writeFileSync(`${target}${scene}-${width}x${height}.png`, await browser.screenshot());
    }
  }
} finally {
  await browser.close();
}
