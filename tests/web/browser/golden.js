/** What a model makes of fixed requests, in a page. */

/**
 * Run requests; this function goes to the browser by its text, so it uses nothing from outside but the page.
 *
 * @param {string} name of a bundle in the page
 * @param {any} requests numbers that may be large are texts
 */
export async function golden(name, requests) {
  const { load, uniform } = /** @type {any} */ (globalThis).vaegen;
  const { vaegenBundles, onnxruntime } = /** @type {any} */ (globalThis);
  const model = await load(vaegenBundles[name], { engine: onnxruntime });
  const made = { uniforms: [], samples: [], reconstructions: [] };
  for (const { seed, attempt, item, size } of requests.uniforms) {
    made.uniforms.push(Array.from(uniform(BigInt(seed), BigInt(attempt), [BigInt(item)], size)));
  }
  for (const { digit, color, seed, item } of requests.samples) {
    const drawn = await model.draw(digit, color, { seed: BigInt(seed), start: BigInt(item) });
    const one = { triesUsed: drawn.triesUsed[0], latent: Array.from(drawn.latents), image: Array.from(drawn.images) };
    made.samples.push({ ...one, unchecked: Array.from(await model.sample(digit, color, { tries: 1 })) });
  }
  for (const { image, seed, item } of requests.reconstructions) {
    const options = { stochastic: true, seed: BigInt(seed), start: BigInt(item) };
    const pixels = Uint8Array.from(image);
    made.reconstructions.push({
      stochastic: Array.from(await model.reconstruct(pixels, options)),
      plain: Array.from(await model.reconstruct(pixels)),
    });
  }
  model.close();
  return made;
}
