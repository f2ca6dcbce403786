/**
 * The model's geometry, as far as a picture needs it.
 *
 * The model looks at the direction of the five amounts only, not at their size: a client and
 * its double fall in the same place. Amounts as shares of their sum keep that direction and
 * are what people read easily. `amounts` and `centroids` follow the order of the features.
 */

/** The share of each amount in the sum of them all; adds up to 1. Null when all are zero. */
export function shares(amounts) {
  const sum = amounts.reduce((total, amount) => total + amount, 0);
  return sum > 0 ? amounts.map((amount) => amount / sum) : null;
}

/** Euclidean distance from the client, put on the unit sphere, to each centroid. */
export function distances(amounts, centroids) {
  const length = Math.hypot(...amounts);
  const direction = amounts.map((amount) => amount / length);
  return centroids.map((centroid) => Math.hypot(...centroid.map((c, i) => c - direction[i])));
}

/** The clusters from the nearest to the farthest, as `{ cluster, distance }`. */
export function nearestFirst(amounts, centroids) {
  return distances(amounts, centroids)
    .map((distance, cluster) => ({ cluster, distance }))
    .sort((a, b) => a.distance - b.distance);
}
