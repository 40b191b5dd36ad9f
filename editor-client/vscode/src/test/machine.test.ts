import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { checkRoom, installVariables } from "../machine";
import { run } from "../programs";

const PROXY = { address: "http://proxy:3128", except: ["localhost", ".corp"] };

test("the editor's proxy is given to what installs", () => {
  assert.deepEqual(installVariables(PROXY, {}), {
    UV_NATIVE_TLS: "1",
    HTTPS_PROXY: "http://proxy:3128",
    HTTP_PROXY: "http://proxy:3128",
    NO_PROXY: "localhost,.corp",
  });
  assert.deepEqual(installVariables({ address: "", except: [] }, {}), { UV_NATIVE_TLS: "1" });
});

test("what the user's environment says holds", () => {
  const environment = { https_proxy: "http://mine:1", UV_NATIVE_TLS: "0" };
  assert.deepEqual(installVariables(PROXY, environment), {});
});

test("a program has these variables beside its own", async () => {
  const script = "console.log(process.env.HTTPS_PROXY, process.env.PATH !== undefined)";
  const variables = { HTTPS_PROXY: "http://proxy:3128" };
  const said = await run(process.execPath, ["-e", script], { variables });
  assert.equal(said.trim(), "http://proxy:3128 true");
});

test("a disk with too little room is told before anything is fetched", async () => {
  const folder = join(tmpdir(), "not", "there", "yet");
  const free = async (asked: string) => {
    assert.equal(asked, tmpdir()); // the nearest that is there
    return 3e8;
  };
  await assert.rejects(checkRoom(folder, 1.7e9, free), /has only 300\.0 MB free; about 1\.7 GB/);
  await checkRoom(folder, 2e8, free);
  await checkRoom(tmpdir(), 1); // the real one
});

test("a file system that does not say how much is free is no reason to stop", async () => {
  await checkRoom(tmpdir(), 1e18, () => Promise.reject(new Error("not supported")));
});
