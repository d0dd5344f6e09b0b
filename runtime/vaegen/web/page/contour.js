/** Borders between the regions of a plane in which a judge reads different digits. */

const LEAST = 1e-6; // probabilities below it are noise, and their logarithms would bend the borders

/**
 * @typedef {object} Region
 * @property {number} digit  What is read there.
 * @property {number} x      A place well inside, 0 left to 1 right.
 * @property {number} y      Likewise, 0 top to 1 bottom.
 */

/**
 * Return the borders between regions, as lines in the unit square.
 *
 * For each digit, marching squares follow where its log-probability equals the largest of the others; between the
 * points of the grid both are taken as straight.
 *
 * @param {ArrayLike<number>} probabilities (side, side, digits), row by row from the top; the grid's edge is the square's.
 * @param {number} side
 * @returns {Float64Array} Of each line x, y at one end and x, y at the other.
 */
export function borders(probabilities, side) {
  const digits = probabilities.length / (side * side);
  const logs = Float64Array.from(probabilities, (value) => Math.log(Math.max(value, LEAST)));
  /** @type {number[]} */
  const lines = [];
  for (let digit = 0; digit < digits; digit++) {
    const lead = new Float64Array(side * side);
    for (let at = 0; at < lead.length; at++) {
      let rival = -Infinity;
      for (let other = 0; other < digits; other++) {
        if (other !== digit) rival = Math.max(rival, logs[at * digits + other]);
      }
      lead[at] = logs[at * digits + digit] - rival;
    }
    march(lead, side, lines);
  }
  return Float64Array.from(lines);
}

/**
 * Return the regions of a grid, the largest first, those of fewer than `least` points left out.
 *
 * @param {ArrayLike<number>} probabilities As for `borders`.
 * @param {number} side
 * @param {number} [least]
 * @returns {Region[]}
 */
export function regions(probabilities, side, least = 1) {
  const digits = probabilities.length / (side * side);
  const read = Array.from({ length: side * side }, (_, at) => {
    let best = 0;
    for (let digit = 1; digit < digits; digit++) {
      if (probabilities[at * digits + digit] > probabilities[at * digits + best]) best = digit;
    }
    return best;
  });
  const seen = new Uint8Array(side * side);
  /** @type {(Region & {size: number})[]} */
  const found = [];
  for (let start = 0; start < read.length; start++) {
    if (seen[start]) continue;
    const members = [start];
    seen[start] = 1;
    for (const at of members) {
      for (const next of neighbors(at, side)) {
        if (!seen[next] && read[next] === read[at]) {
          seen[next] = 1;
          members.push(next);
        }
      }
    }
    if (members.length < least) continue;
    const { x, y } = inside(members, side);
    found.push({ digit: read[start], x, y, size: members.length });
  }
  found.sort((one, other) => other.size - one.size);
  return found.map(({ digit, x, y }) => ({ digit, x, y }));
}

/** @param {Float64Array} field @param {number} side @param {number[]} lines Where lines are added. */
function march(field, side, lines) {
  for (let row = 0; row + 1 < side; row++) {
    for (let column = 0; column + 1 < side; column++) {
      const corner = [[0, 0], [1, 0], [1, 1], [0, 1]].map(([right, down]) => (
        { x: column + right, y: row + down, value: field[(row + down) * side + column + right] }));
      const crossings = [];
      for (let edge = 0; edge < 4; edge++) {
        const [from, to] = [corner[edge], corner[(edge + 1) % 4]];
        if (from.value > 0 === to.value > 0) continue;
        const share = from.value / (from.value - to.value);
        crossings.push((from.x + share * (to.x - from.x)) / (side - 1), (from.y + share * (to.y - from.y)) / (side - 1));
      }
      if (crossings.length === 4) lines.push(...crossings);
      if (crossings.length === 8) {
        // A saddle: the middle decides which two corners belong together.
        const middle = corner.reduce((sum, { value }) => sum + value, 0) > 0;
        const order = middle === corner[0].value > 0 ? [0, 1, 2, 3] : [3, 0, 1, 2];
        for (const at of order) lines.push(crossings[2 * at], crossings[2 * at + 1]);
      }
    }
  }
}

/** @param {number} at @param {number} side */
function neighbors(at, side) {
  const column = at % side;
  const found = [];
  if (column > 0) found.push(at - 1);
  if (column < side - 1) found.push(at + 1);
  if (at >= side) found.push(at - side);
  if (at < side * (side - 1)) found.push(at + side);
  return found;
}

/** Return the member of a region that is nearest to its middle. @param {number[]} members @param {number} side */
function inside(members, side) {
  const middleX = members.reduce((sum, at) => sum + (at % side), 0) / members.length;
  const middleY = members.reduce((sum, at) => sum + Math.floor(at / side), 0) / members.length;
  let [best, least] = [members[0], Infinity];
  for (const at of members) {
    const distance = Math.hypot((at % side) - middleX, Math.floor(at / side) - middleY);
    if (distance < least) [best, least] = [at, distance];
  }
  return { x: (best % side) / (side - 1), y: Math.floor(best / side) / (side - 1) };
}
