import assert from "node:assert/strict";
import { test } from "node:test";
import { gaveUp, reasonOf, unknown } from "../failures";

const failure = (code: number, message: string) => Object.assign(new Error(message), { code });

test("a lost connection is told without the protocol's words", () => {
  const lost = [
    failure(-32097, "Pending response rejected since connection got disposed"),
    failure(-32096, "Connection is closed."),
    failure(2, "Connection is disposed."),
    new Error("Client is not running and can't be stopped. It's current state is: starting"),
    "write EPIPE",
  ];
  for (const error of lost) {
    const said = reasonOf("longllama/explain", error);
    assert.equal(said, "“Why This Suggestion?” has no answer, as the server ended. Try it again.");
  }
});

test("what an older server lacks is named as the user knows it", () => {
  const said = reasonOf("longllama/clearStore", failure(-32601, "Method Not Found: x"));
  assert.equal(said, unknown("longllama/clearStore"));
  assert.match(said, /“Clear What Is Stored on Disk”.*Update the server/);
});

test("an error of the server leads to the log", () => {
  const said = reasonOf("longllama/diagnose", failure(-32602, "Invalid Params"));
  assert.equal(said, "“Diagnose” failed. The log says why.");
});

test("a server that was given up is told once, with how often it ended", () => {
  assert.match(gaveUp(5), /^The server ended five times .* not started again/);
  assert.match(gaveUp(9), /^The server ended 9 times/);
});
