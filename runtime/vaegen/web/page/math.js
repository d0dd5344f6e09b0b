/** Linear algebra of small sets of latents, and the curves of easing; nothing here knows a model. */

/**
 * Return the leading principal directions of some rows.
 *
 * The Gram matrix of n rows is smaller than the covariance of L coordinates, and has the same leading eigenvalues.
 * Power iteration on all wanted vectors at once, made orthogonal after each step, finds them.
 *
 * @param {ArrayLike<number>} rows (n, L), row by row.
 * @param {number} size L.
 * @param {number} count How many; at most n - 1.
 * @returns {{mean: Float64Array, directions: Float64Array[], deviations: number[]}} Unit vectors with their standard
 *   deviations, the largest first; in each the entry of largest size is positive.
 */
export function principal(rows, size, count) {
  const n = rows.length / size;
  const mean = new Float64Array(size);
  for (let at = 0; at < rows.length; at++) mean[at % size] += rows[at] / n;
  const centered = Float64Array.from(rows, (value, at) => value - mean[at % size]);
  const gram = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let at = 0; at < size; at++) sum += centered[i * size + at] * centered[j * size + at];
      gram[i * n + j] = gram[j * n + i] = sum / n;
    }
  }
  /** @type {Float64Array[]} */
  let vectors = Array.from({ length: count }, (_, which) =>
    Float64Array.from({ length: n }, (_, at) => Math.sin((which + 1) * (at + 1) * 1.3) + 0.01 * at));
  orthogonalize(vectors);
  for (let step = 0; step < 300; step++) {
    vectors = vectors.map((vector) => times(gram, vector));
    orthogonalize(vectors);
  }
  const found = vectors.map((vector) => {
    const direction = new Float64Array(size);
    for (let i = 0; i < n; i++) {
      for (let at = 0; at < size; at++) direction[at] += vector[i] * centered[i * size + at];
    }
    const length = norm(direction);
    const largest = direction.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
    const factor = length > 1e-9 ? Math.sign(largest) / length : 0;
    return { direction: direction.map((value) => value * factor), deviation: length / Math.sqrt(n) };
  });
  found.sort((one, other) => other.deviation - one.deviation);
  return { mean, directions: found.map((one) => one.direction), deviations: found.map((one) => one.deviation) };
}

/**
 * Return the rows that are nearest to a point, by Euclidean distance.
 *
 * @param {ArrayLike<number>} rows (n, L).
 * @param {ArrayLike<number>} point (L,).
 * @param {number} count How many.
 * @returns {Float32Array} (count, L), the nearest first.
 */
export function nearest(rows, point, count) {
  const size = point.length;
  const order = Array.from({ length: rows.length / size }, (_, row) => {
    let distance = 0;
    for (let at = 0; at < size; at++) distance += (rows[row * size + at] - point[at]) ** 2;
    return { row, distance };
  }).sort((one, other) => one.distance - other.distance || one.row - other.row);
  const result = new Float32Array(Math.min(count, order.length) * size);
  for (let to = 0; to * size < result.length; to++) {
    for (let at = 0; at < size; at++) result[to * size + at] = rows[order[to].row * size + at];
  }
  return result;
}

/**
 * Return the sum of products of two vectors.
 *
 * @param {ArrayLike<number>} one
 * @param {ArrayLike<number>} other Of the same length.
 */
export function dot(one, other) {
  let sum = 0;
  for (let at = 0; at < one.length; at++) sum += one[at] * other[at];
  return sum;
}

/**
 * Return the weights of the four corners of a square at a point: bilinear, in the order of reading.
 *
 * @param {number} x 0 left to 1 right.
 * @param {number} y 0 top to 1 bottom.
 */
export function bilinear(x, y) {
  return [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y];
}

/**
 * Return a number no less and no more than the ends.
 *
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/**
 * Return a share of a way, 0 to 1, that starts and stops gently.
 *
 * @param {number} t 0 to 1.
 */
export function ease(t) {
  return t * t * (3 - 2 * t);
}

/**
 * Return points at even distances along a line through points, its ends included.
 *
 * @param {{x: number, y: number}[]} points Two or more.
 * @param {number} count Two or more.
 * @returns {{x: number, y: number}[]}
 */
export function along(points, count) {
  const reached = [0];
  for (let at = 1; at < points.length; at++) {
    reached.push(reached[at - 1] + Math.hypot(points[at].x - points[at - 1].x, points[at].y - points[at - 1].y));
  }
  const whole = reached[reached.length - 1];
  let leg = 1;
  return Array.from({ length: count }, (_, step) => {
    const goal = (whole * step) / (count - 1);
    while (leg < points.length - 1 && reached[leg] < goal) leg++;
    const span = reached[leg] - reached[leg - 1];
    const share = span > 0 ? clamp((goal - reached[leg - 1]) / span, 0, 1) : 0;
    const [from, to] = [points[leg - 1], points[leg]];
    return { x: from.x + share * (to.x - from.x), y: from.y + share * (to.y - from.y) };
  });
}

/** @param {Float64Array} matrix @param {Float64Array} vector @returns {Float64Array} */
function times(matrix, vector) {
  const n = vector.length;
  return vector.map((_, row) => dot(matrix.subarray(row * n, row * n + n), vector));
}

/** @param {Float64Array[]} vectors Made orthogonal and of length 1, in place, in their order. */
function orthogonalize(vectors) {
  vectors.forEach((vector, which) => {
    for (const before of vectors.slice(0, which)) {
      const share = dot(vector, before);
      for (let at = 0; at < vector.length; at++) vector[at] -= share * before[at];
    }
    const length = norm(vector) || 1;
    for (let at = 0; at < vector.length; at++) vector[at] /= length;
  });
}

/** @param {Float64Array} vector */
function norm(vector) {
  return Math.sqrt(dot(vector, vector));
}
