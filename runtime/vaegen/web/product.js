/** Products of matrices, where most of the time goes: 1.1 million multiplications for a verified sample. */

/** @typedef {import("./onnx.js").Data} Data */

/**
 * Set y (M, N) to the product of a (M, K) and b, which is (N, K) if it is transposed, else (K, N).
 *
 * @param {Data} a
 * @param {number} p  Where a starts.
 * @param {Data} b
 * @param {number} q
 * @param {boolean} transposed
 * @param {Data} y
 * @param {number} i
 * @param {number[]} lengths  M, N and K.
 */
export function multiply(a, p, b, q, transposed, y, i, [M, N, K]) {
  if (!transposed && N > 1) {
    rowByRow(a, p, b, q, y, i, M, N, K);
    return;
  }
  const [rows, columns] = [M - (M % 3), N - (N % 3)]; // that go in threes
  // The weights, b, are the larger of the two; so each row of them is read once.
  for (let n = 0; n < columns && rows > 0; n += 3) {
    for (let m = 0; m < rows; m += 3) nine(a, p + m * K, b, q + n * K, y, i + m * N + n, N, K);
  }
  for (let m = 0; m < M; m++) {
    const done = m < rows ? columns : 0;
    oneRow(a, p + m * K, b, q + done * K, y, i + m * N + done, N - done, K);
  }
}

/**
 * Multiply three rows of a and of b: each value read serves three products.
 *
 * @param {Data} a
 * @param {number} p
 * @param {Data} b
 * @param {number} q
 * @param {Data} y
 * @param {number} i
 * @param {number} N
 * @param {number} K
 */
function nine(a, p, b, q, y, i, N, K) {
  const p1 = p + K, p2 = p1 + K, q1 = q + K, q2 = q1 + K, i1 = i + N, i2 = i1 + N;
  let s = 0, s1 = 0, s2 = 0, t = 0, t1 = 0, t2 = 0, u = 0, u1 = 0, u2 = 0;
  for (let k = 0; k < K; k++) {
    const v = a[p + k], v1 = a[p1 + k], v2 = a[p2 + k], w = b[q + k], w1 = b[q1 + k], w2 = b[q2 + k];
    s += v * w; s1 += v * w1; s2 += v * w2;
    t += v1 * w; t1 += v1 * w1; t2 += v1 * w2;
    u += v2 * w; u1 += v2 * w1; u2 += v2 * w2;
  }
  y[i] = s; y[i + 1] = s1; y[i + 2] = s2;
  y[i1] = t; y[i1 + 1] = t1; y[i1 + 2] = t2;
  y[i2] = u; y[i2 + 1] = u1; y[i2 + 2] = u2;
}

/**
 * Multiply one row of a with N rows of b. Sums that do not wait for each other take half the time.
 *
 * @param {Data} a
 * @param {number} p
 * @param {Data} b
 * @param {number} q
 * @param {Data} y
 * @param {number} i
 * @param {number} N
 * @param {number} K
 */
function oneRow(a, p, b, q, y, i, N, K) {
  let n = 0;
  for (; n + 4 <= N; n += 4, q += 4 * K) {
    const q1 = q + K, q2 = q1 + K, q3 = q2 + K;
    let s = 0, s1 = 0, s2 = 0, s3 = 0, t = 0, t1 = 0, t2 = 0, t3 = 0, k = 0;
    for (; k + 2 <= K; k += 2) {
      const u = a[p + k], v = a[p + k + 1];
      s += u * b[q + k]; s1 += u * b[q1 + k]; s2 += u * b[q2 + k]; s3 += u * b[q3 + k];
      t += v * b[q + k + 1]; t1 += v * b[q1 + k + 1]; t2 += v * b[q2 + k + 1]; t3 += v * b[q3 + k + 1];
    }
    if (k < K) {
      const u = a[p + k];
      s += u * b[q + k]; s1 += u * b[q1 + k]; s2 += u * b[q2 + k]; s3 += u * b[q3 + k];
    }
    y[i + n] = s + t; y[i + n + 1] = s1 + t1; y[i + n + 2] = s2 + t2; y[i + n + 3] = s3 + t3;
  }
  for (; n < N; n++, q += K) {
    let s = 0;
    for (let k = 0; k < K; k++) s += a[p + k] * b[q + k];
    y[i + n] = s;
  }
}

/**
 * Multiply matrices of which b is not transposed, adding rows of b.
 *
 * @param {Data} a
 * @param {number} p
 * @param {Data} b
 * @param {number} q
 * @param {Data} y
 * @param {number} i
 * @param {number} M
 * @param {number} N
 * @param {number} K
 */
function rowByRow(a, p, b, q, y, i, M, N, K) {
  const sums = new Float64Array(N);
  for (let m = 0; m < M; m++, sums.fill(0)) {
    for (let k = 0; k < K; k++) {
      const factor = a[p + m * K + k];
      for (let n = 0, r = q + k * N; n < N; n++, r++) sums[n] += factor * b[r];
    }
    y.set(sums, i + m * N);
  }
}
