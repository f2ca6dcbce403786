import assert from "node:assert/strict";
import test from "node:test";

import { distances, nearestFirst, shares } from "../../../frontend/js/geometry.js";

const CENTROIDS = [
  [1, 0, 0, 0, 0],
  [0, 0.5, 0, 0, 0],
  [0, 0, 0, 0, 1],
];

test("shares add up to one and keep the order", () => {
  assert.deepEqual(shares([1, 2, 0, 1, 0]), [0.25, 0.5, 0, 0.25, 0]);
});

test("nothing has no shares", () => {
  assert.equal(shares([0, 0, 0, 0, 0]), null);
});

test("a client is compared by direction, whatever its size", () => {
  assert.deepEqual(
    distances([3, 0, 0, 4, 0], CENTROIDS),
    distances([300, 0, 0, 400, 0], CENTROIDS),
  );
});

test("the distance is the one from the unit sphere to the centroid", () => {
  const [first, second] = distances([0, 7, 0, 0, 0], CENTROIDS);
  assert.ok(Math.abs(first - Math.SQRT2) < 1e-12);
  assert.equal(second, 0.5);
});

test("the nearest cluster comes first", () => {
  const order = nearestFirst([10, 1, 0, 0, 0], CENTROIDS).map(({ cluster }) => cluster);
  assert.deepEqual(order, [0, 1, 2]);
});
