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
 * Each cell of the grid is two triangles, in which the log-probabilities are taken as linear; a border is where two
 * of them are equal and none is larger. So three borders meet in one point.
 *
 * @param {ArrayLike<number>} probabilities (side, side, digits), row by row from the top; its edge is the square's.
 * @param {number} side
 * @returns {number[]} Of each line x, y at one end and x, y at the other.
 */
export function borders(probabilities, side) {
  const digits = probabilities.length / (side * side);
  const logs = Float64Array.from(probabilities, (value) => Math.log(Math.max(value, LEAST)));
  /** @type {number[]} */
  const lines = [];
  for (let row = 0; row + 1 < side; row++) {
    for (let column = 0; column + 1 < side; column++) {
      const [a, b, c, d] = [[0, 0], [1, 0], [1, 1], [0, 1]].map(([right, down]) => {
        const at = ((row + down) * side + column + right) * digits;
        return { x: (column + right) / (side - 1), y: (row + down) / (side - 1), logs: logs.subarray(at, at + digits) };
      });
      const halves = (row + column) % 2 ? [[a, b, c], [a, c, d]] : [[a, b, d], [b, c, d]];
      for (const half of halves) divide(half, lines);
    }
  }
  return lines;
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

/** @typedef {{x: number, y: number, logs: Float64Array}} Vertex */

/** @param {Vertex[]} triangle @param {number[]} lines Where the borders inside are added. */
function divide(triangle, lines) {
  const tops = triangle.map(({ logs }) => logs.indexOf(Math.max(...logs)));
  if (tops[0] === tops[1] && tops[1] === tops[2]) return;
  const digits = triangle[0].logs.length;
  for (let one = 0; one < digits; one++) {
    for (let other = one + 1; other < digits; other++) {
      const ends = triangle.flatMap((from, at) => crossing(from, triangle[(at + 1) % 3], one, other));
      if (ends.length !== 2) continue;
      let [first, last] = [0, 1];
      for (let rival = 0; rival < digits; rival++) {
        if (rival === one || rival === other) continue;
        const [ahead, behind] = ends.map(({ logs }) => logs[one] - logs[rival]);
        if (ahead < 0 && behind < 0) last = -1;
        else if (ahead < 0) first = Math.max(first, ahead / (ahead - behind));
        else if (behind < 0) last = Math.min(last, ahead / (ahead - behind));
      }
      if (first >= last) continue;
      for (const share of [first, last]) {
        const { x, y } = between(ends[0], ends[1], share);
        lines.push(x, y);
      }
    }
  }
}

/**
 * Return the point of an edge at which two digits are equally probable, or none.
 *
 * @param {Vertex} from
 * @param {Vertex} to
 * @param {number} one
 * @param {number} other
 */
function crossing(from, to, one, other) {
  const [start, end] = [from.logs[one] - from.logs[other], to.logs[one] - to.logs[other]];
  return start > 0 === end > 0 ? [] : [between(from, to, start / (start - end))];
}

/** @param {Vertex} from @param {Vertex} to @param {number} share @returns {Vertex} */
function between(from, to, share) {
  const logs = from.logs.map((value, digit) => value + share * (to.logs[digit] - value));
  return { x: from.x + share * (to.x - from.x), y: from.y + share * (to.y - from.y), logs };
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
