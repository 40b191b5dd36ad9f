import assert from "node:assert/strict";
import { test } from "node:test";
import { fetchRemedies, type Left, shortReason as shortReasonIn } from "../installFailures";
import { INSTALL, retry } from "../remedies";

const shortReason = (output: string, left: Left = "no server") => shortReasonIn(output, left);
const buttons = (output: string, left: Left = "no server") =>
  fetchRemedies(output, retry(INSTALL), left).map(({ label }) => label);
const ALWAYS = ["Copy Diagnosis", "Show Log"];

// As pip, uv and the system word them.
const OFFLINE = [
  "WARNING: Retrying after connection broken by 'NewConnectionError(...)'\n" +
    "The user requested (constraint) torch==2.13.0\nERROR: ResolutionImpossible: for help visit …",
  "error: Failed to fetch: `https://index.example/simple/torch/`\n  Caused by: error sending request for url\n" +
    "  Caused by: dns error: failed to lookup address information: Name or service not known",
  "longllama: coder-0.5b could not be fetched: [Errno 101] Network is unreachable",
];
const PROXY = [
  "WARNING: Retrying after connection broken by 'ProxyError('Cannot connect to proxy.', OSError('Tunnel " +
    "connection failed: 407 Proxy Authentication Required'))'",
  "error: error sending request\n  Caused by: client error (Connect)\n  Caused by: unsuccessful tunnel: " +
    "proxy authentication required",
];
const DISK = [
  "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
  "error: failed to write to file: There is not enough space on the disk. (os error 112)",
  "the disk of /home/ada has only 300.0 MB free; about 1700.0 MB are needed",
];
const PYTHON = [
  "Python 3.10 or newer with venv is missing (looked for uv, python3 on the PATH). Install it …",
  "error: No interpreter found for Python >=3.10 in managed installations or search path",
];

test("without a network a proxy can be set, and a server be named", () => {
  for (const output of OFFLINE) {
    assert.match(shortReason(output), /cannot be reached; the log says which.*that you have\.$/);
    assert.deepEqual(buttons(output), ["Retry", "Set Proxy", "Set a Path", ...ALWAYS]);
  }
});

test("what is advised without a network is true of what there is", () => {
  const output = OFFLINE[0] ?? "";
  const reached = "the package index cannot be reached; the log says which.";
  for (const left of ["a server that works", "a server that fails"] as const) {
    assert.equal(shortReason(output, left), reached);
    assert.deepEqual(buttons(output, left), ["Retry", "Set Proxy", ...ALWAYS]);
  }
  const another = `${reached} Without a network, name another server, if you have one.`;
  assert.equal(shortReason(output, "a server that ends"), another);
  assert.deepEqual(buttons(output, "a server that ends"), buttons(output));
  assert.equal(
    shortReason(output, "another model"),
    "what the model comes from cannot be reached; the log says which. Without a network, choose a " +
      "model that is on this machine.",
  );
});

test("a proxy that refuses is told from no network", () => {
  for (const output of PROXY) {
    assert.match(shortReason(output), /the proxy refuses/, output);
    assert.deepEqual(buttons(output), ["Retry", "Set Proxy", ...ALWAYS]);
  }
});

test("a certificate that is not trusted is told, too", () => {
  const output =
    "Retrying after connection broken by 'SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]'))'";
  assert.match(shortReason(output), /certificate .* is not trusted/);
  assert.deepEqual(buttons(output), ["Retry", "Set Proxy", ...ALWAYS]);
});

test("a full disk says so", () => {
  for (const output of DISK) {
    assert.match(shortReason(output), /the disk is full/, output);
    assert.deepEqual(buttons(output), ["Retry", ...ALWAYS]);
  }
});

test("without Python there is uv, which brings one, or a server that is there", () => {
  for (const output of PYTHON) {
    assert.match(shortReason(output), /Python 3\.10 or newer is missing/, output);
    assert.deepEqual(buttons(output), ["Retry", "Get uv", "Set a Path", ...ALWAYS]);
  }
});

test("a package that the index lacks is named", () => {
  const lacking = "The user requested (constraint) torch==2.13.0\nERROR: ResolutionImpossible: …";
  assert.equal(
    shortReason(lacking),
    "the package index lacks torch==2.13.0, or cannot be reached.",
  );
  assert.match(shortReason("ERROR: No matching distribution found for torch"), /lacks torch,/);
  assert.deepEqual(buttons(lacking), ["Retry", "Get uv", ...ALWAYS]); // with another Python, it may be there
});

test("what is not known is told by the last line with words, and can be copied", () => {
  assert.equal(shortReason("Collecting\nERROR: odd\n\n"), "ERROR: odd");
  assert.equal(shortReason(""), "");
  assert.equal(shortReason("x".repeat(500)).length, 242);
  assert.deepEqual(buttons("odd"), ["Retry", ...ALWAYS]);
});

test("a model that was not fetched can be another one", () => {
  const of = (output = "") => buttons(output, "another model");
  assert.deepEqual(of("odd"), ["Retry", "Choose Another", ...ALWAYS]);
  assert.deepEqual(of(PROXY[0]), ["Retry", "Set Proxy", ...ALWAYS]);
  assert.deepEqual(of(OFFLINE[0]), ["Retry", "Set Proxy", "Choose Another", ...ALWAYS]);
});
