-- `:checkhealth longllama`: whether Neovim and the server have what they need, and what helps.
local M = {}

local DIAGNOSIS_MS = 120000 -- it loads torch once
local REPORT = { ok = "ok", warning = "warn", error = "error" }

--- The server's program: the one of the configuration, or that on the PATH.
local function program()
  local configured = vim.lsp.config and vim.lsp.config.longllama
  local command = (configured or {}).cmd or require("longllama").config.cmd
  return type(command) == "table" and command[1] or "longllama-lsp"
end

local function check_neovim()
  vim.health.start("longllama: Neovim")
  local version = tostring(vim.version())
  if vim.lsp.inline_completion then
    local state = vim.lsp.inline_completion.is_enabled() and "enabled" or "not enabled"
    vim.health.ok(version .. " shows suggestions by itself (vim.lsp.inline_completion, " .. state .. ")")
  elseif vim.fn.has("nvim-0.11") == 1 then
    vim.health.ok(version .. ' shows suggestions by require("longllama").setup()')
  else
    vim.health.error(version .. " is too old", "Use Neovim 0.11 or newer.")
  end
end

--- Report what `longllama-lsp diagnose` finds, check by check.
local function check_server(command)
  vim.health.start("longllama: server")
  local path = vim.fn.exepath(command)
  if path == "" then
    return vim.health.error(command .. " is not on the PATH", "Install it, or name its full path in `cmd`.")
  end
  vim.health.ok(path .. ", " .. vim.trim(vim.system({ path, "--version" }, { text = true }):wait().stdout or ""))
  local said = vim.system({ path, "diagnose", "--json" }, { text = true }):wait(DIAGNOSIS_MS)
  local is_json, checks = pcall(vim.json.decode, said.stdout or "")
  if not is_json then
    return vim.health.error("`longllama-lsp diagnose` ended with " .. said.code, { vim.trim(said.stderr or "") })
  end
  for _, check in ipairs(checks) do
    local advice = check.remedy ~= "" and check.state ~= "ok" and { check.remedy } or nil
    vim.health[REPORT[check.state]](check.name .. ": " .. check.found, advice)
  end
end

local function check_clients()
  vim.health.start("longllama: this session")
  local clients = vim.lsp.get_clients({ name = "longllama" })
  if #clients == 0 then
    return vim.health.warn("the server runs for no buffer", 'Open a file; `vim.lsp.enable("longllama")` starts it.')
  end
  for _, client in ipairs(clients) do
    local answer = client:request_sync("longllama/status", vim.empty_dict(), 5000)
    local status = answer and answer.result
    local said = status and (status.phase .. ": " .. status.message) or "no answer within 5 s"
    local report = status and status.phase ~= "failed" and vim.health.ok or vim.health.error
    report(("%s: %s"):format(client.config.root_dir or "no folder", said))
  end
end

function M.check()
  check_neovim()
  check_server(program())
  check_clients()
end

return M
