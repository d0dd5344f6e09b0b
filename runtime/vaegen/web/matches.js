/** Close matches of a word, those that Python's `difflib.get_close_matches` names. */

const MOST = 3; // matches named
const CUTOFF = 0.6; // least similarity

/**
 * Return the names most like a word, the most like it first.
 *
 * @param {string} word  What somebody wrote.
 * @param {string[]} names  The choices.
 * @returns {string[]} At most three.
 */
export function closeMatches(word, names) {
  const signs = [...word];
  return names
    .map((name) => ({ name, ratio: ratio([...name], signs) }))
    .filter((match) => match.ratio >= CUTOFF)
    .sort((a, b) => b.ratio - a.ratio || (a.name < b.name ? 1 : -1))
    .slice(0, MOST)
    .map((match) => match.name);
}

/**
 * Return how alike two texts are: twice the characters of their common blocks by those of both (Ratcliff, Obershelp).
 *
 * @param {string[]} a  Characters.
 * @param {string[]} b  Characters.
 * @returns {number} 0 to 1; where it cannot reach CUTOFF, no less than it is.
 */
function ratio(a, b) {
  const most = (2 * Math.min(a.length, b.length)) / (a.length + b.length);
  if (most < CUTOFF) return most; // a text as long as a book costs nothing
  return (2 * common(a, b)) / (a.length + b.length);
}

/**
 * Return the number of characters in the longest common block, and so on left and right of it.
 *
 * @param {string[]} a  Characters.
 * @param {string[]} b  Characters.
 * @returns {number}
 */
function common(a, b) {
  let [start, other, longest] = [0, 0, 0]; // of equally long blocks the first in a, and of these the first in b
  let before = new Array(b.length + 1).fill(0); // lengths of the blocks that end in the last character of a
  for (let i = 0; i < a.length; i++) {
    const lengths = new Array(b.length + 1).fill(0);
    for (let j = 0; j < b.length; j++) {
      if (a[i] !== b[j]) continue;
      lengths[j + 1] = before[j] + 1;
      if (lengths[j + 1] > longest) {
        longest = lengths[j + 1];
        [start, other] = [i + 1 - longest, j + 1 - longest];
      }
    }
    before = lengths;
  }
  if (longest === 0) return 0;
  const left = common(a.slice(0, start), b.slice(0, other));
  return left + longest + common(a.slice(start + longest), b.slice(other + longest));
}
