// Draws media/icon.png, 128 by 128 pixels: lines of code, some of them lit, as memory lights them.
import { writeFileSync } from "node:fs";
import { crc32, deflateSync } from "node:zlib";

const SIZE = 128;
const GROUND = [30, 34, 48];
const LINE = [96, 108, 140];
const LIT = [255, 190, 92];
// x, y, width, colour of each bar; bars are 8 pixels high with round ends.
const BARS = [
  [22, 26, 52, LINE],
  [34, 42, 60, LINE],
  [34, 58, 38, LIT],
  [22, 74, 44, LINE],
  [34, 90, 30, LINE],
  [70, 90, 36, LIT],
];
const SAMPLES = [0.125, 0.375, 0.625, 0.875];

function insideRound(x, y, left, top, width, height, radius) {
  const dx = Math.max(left + radius - x, 0, x - (left + width - radius));
  const dy = Math.max(top + radius - y, 0, y - (top + height - radius));
  return dx * dx + dy * dy <= radius * radius;
}

function colourAt(x, y) {
  if (!insideRound(x, y, 0, 0, SIZE, SIZE, 26)) return [0, 0, 0, 0];
  const bar = BARS.find(([left, top, width]) => insideRound(x, y, left, top, width, 8, 4));
  return [...(bar ? bar[3] : GROUND), 255];
}

// The mean of 16 points of a pixel, so that edges are smooth.
function pixel(column, row) {
  const points = SAMPLES.flatMap((dx) => SAMPLES.map((dy) => colourAt(column + dx, row + dy)));
  const alpha = points.reduce((sum, point) => sum + point[3], 0);
  const mean = (channel) => points.reduce((sum, point) => sum + point[channel] * point[3], 0);
  return alpha === 0
    ? [0, 0, 0, 0]
    : [mean(0) / alpha, mean(1) / alpha, mean(2) / alpha, alpha / 16].map(Math.round);
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}

const header = Buffer.alloc(13);
header.writeUInt32BE(SIZE, 0);
header.writeUInt32BE(SIZE, 4);
header.set([8, 6, 0, 0, 0], 8);
const steps = [...Array(SIZE).keys()];
const rows = steps.map((row) => Buffer.from([0, ...steps.flatMap((column) => pixel(column, row))]));
const png = [
  Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
  chunk("IHDR", header),
  chunk("IDAT", deflateSync(Buffer.concat(rows), { level: 9 })),
  chunk("IEND", Buffer.alloc(0)),
];
writeFileSync("media/icon.png", Buffer.concat(png));
