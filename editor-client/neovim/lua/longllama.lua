-- Starts longllama-lsp and shows its suggestion as ghost text, in Neovim 0.11 and newer.
--
--   require("longllama").setup({ settings = { model = { path = "auto" } } })
--
-- Neovim 0.12 shows inline completions by itself: there, `vim.lsp.enable("longllama")`, which reads `lsp/longllama.lua`
-- beside this folder, and `vim.lsp.inline_completion.enable()` do the same.
local M = {}

local partial = require("longllama.partial")

local namespace = vim.api.nvim_create_namespace("longllama")
local METHOD = "textDocument/inlineCompletion"
local INVOKED, AUTOMATIC = 1, 2
local REST_MS = 150 -- how long the cursor rests before the server is told where it is

M.config = {
  cmd = { "longllama-lsp" },
  settings = {},
  filetypes = "*",
  accept = "<Tab>",
  accept_word = "<M-Right>",
  accept_line = "<M-Down>",
  next = "<M-n>",
  previous = "<M-p>",
}
M.status = nil -- the server's last `longllama/didChangeStatus`
M.shown = nil -- { buffer, row, column, text, replaced, id, number, accepted } of the ghost text on screen; `replaced` is the
-- text behind the cursor that the ghost text has as well, such as a bracket that the editor closed by itself; `accepted`
-- is what was accepted of the suggestion `id` before

--- Attach the server to a buffer; returns the client's id.
function M.start(buffer)
  local root = vim.fs.root(buffer, { ".git", ".longllamaignore" }) or vim.fn.getcwd()
  local capabilities = vim.lsp.protocol.make_client_capabilities()
  capabilities.textDocument.inlineCompletion = { dynamicRegistration = false }
  capabilities.experimental = { longllama = { didShowSuggestion = true } }
  local settings = next(M.config.settings) and M.config.settings or vim.empty_dict()
  return vim.lsp.start({
    name = "longllama",
    cmd = M.config.cmd,
    root_dir = root,
    capabilities = capabilities,
    init_options = settings,
    settings = { longllama = settings },
    handlers = {
      ["longllama/didChangeStatus"] = function(_, status)
        M.status = status
        vim.schedule(vim.cmd.redrawstatus)
      end,
    },
    on_exit = function()
      M.status = nil
    end,
  }, { bufnr = buffer })
end

function M.clear()
  if M.shown and vim.api.nvim_buf_is_valid(M.shown.buffer) then
    vim.api.nvim_buf_clear_namespace(M.shown.buffer, namespace, 0, -1)
  end
  M.shown = nil
end

local accepted_at = nil -- changedtick after a part was accepted: that change must not ask anew

--- A line as it looks from a column on: Neovim draws tabs of virtual text as a width of its own.
local function with_blanks(line, width)
  local parts = vim.split(line, "\t", { plain = true })
  for index = 1, #parts - 1 do
    local before = width + vim.fn.strdisplaywidth(parts[index], width)
    local tab = vim.fn.strdisplaywidth("\t", before)
    parts[index] = parts[index] .. (" "):rep(tab)
    width = before + tab
  end
  return table.concat(parts)
end

local function show(buffer, row, column, text, replaced, id, accepted)
  local lines = vim.split(text, "\n", { plain = true })
  local rest = vim.tbl_map(function(line)
    return { { with_blanks(line, 0), "Comment" } }
  end, vim.list_slice(lines, 2))
  local before = vim.api.nvim_buf_get_text(buffer, row, 0, row, column, {})[1]
  vim.api.nvim_buf_set_extmark(buffer, namespace, row, column, {
    virt_text = { { with_blanks(lines[1], vim.fn.strdisplaywidth(before)), "Comment" } },
    virt_text_pos = "inline",
    virt_lines = #rest > 0 and rest or nil,
  })
  if replaced ~= "" then -- it stands in the ghost text, so it is not shown twice
    vim.api.nvim_buf_set_extmark(buffer, namespace, row, column, {
      virt_text = { { (" "):rep(vim.fn.strdisplaywidth(replaced)), "Normal" } },
      virt_text_pos = "overlay",
    })
  end
  M.shown = { buffer = buffer, row = row, column = column, text = text, replaced = replaced, id = id }
  M.shown.accepted = accepted or ""
end

--- The client of a buffer; nil if there is none.
local function client_of(buffer)
  return vim.lsp.get_clients({ bufnr = buffer, name = "longllama" })[1]
end

--- Tell the server, which counts on this machine alone, what was accepted of a suggestion.
local function tell_accepted(shown, part, is_whole)
  local client = client_of(shown.buffer)
  if not client or not shown.id then
    return
  end
  if is_whole then
    local params = { command = "longllama.didAccept", arguments = { shown.id, shown.number } }
    client:request("workspace/executeCommand", params, function() end, shown.buffer)
  else
    local length = vim.str_utfindex(shown.accepted .. part, "utf-16")
    client:notify("longllama/didPartiallyAcceptSuggestion", { id = shown.id, acceptedLength = length })
  end
end

--- The text behind the cursor that an item replaces.
local function replaced_by(item, client, line, column)
  if not item.range then
    return ""
  end
  local finish = vim.str_byteindex(line, client.offset_encoding, item.range["end"].character, false)
  return line:sub(column + 1, finish)
end

--- Show one of several items at the cursor, the first as number 1; numbers beyond them begin anew.
local function show_item(items, number, client, buffer, cursor)
  number = (number - 1) % #items + 1
  local item = items[number]
  local replaced = replaced_by(item, client, vim.api.nvim_get_current_line(), cursor[2])
  local id = vim.tbl_get(item, "command", "arguments", 1)
  show(buffer, cursor[1] - 1, cursor[2], item.insertText, replaced, id)
  M.shown.items, M.shown.number = items, number - 1
  client:notify("longllama/didShowSuggestion", { id = id })
end

--- Ask for a suggestion at the cursor and show it, unless the cursor has moved on by then.
--- `number` says which one is shown if there are several, as there may be where the user asks.
function M.suggest(trigger, number)
  local buffer = vim.api.nvim_get_current_buf()
  local client = vim.lsp.get_clients({ bufnr = buffer, name = "longllama" })[1]
  if not client then
    return
  end
  M.clear()
  local cursor = vim.api.nvim_win_get_cursor(0)
  local tick = vim.api.nvim_buf_get_changedtick(buffer)
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  params.context = { triggerKind = trigger or INVOKED }
  client:request(METHOD, params, function(failure, result)
    local stale = tick ~= vim.api.nvim_buf_get_changedtick(buffer)
      or not vim.deep_equal(cursor, vim.api.nvim_win_get_cursor(0))
    local items = not failure and result and (result.items or result) or {}
    if #items > 0 and not stale then
      show_item(items, number or 1, client, buffer, cursor)
    end
  end, buffer)
end

--- Show another candidate; false if nothing is shown. Typing asks for one, so the others are asked for first.
local function cycle(step)
  local shown = M.shown
  local client = shown and client_of(shown.buffer)
  if not client then
    return false
  end
  if #(shown.items or {}) > 1 then
    M.clear()
    show_item(shown.items, shown.number + 1 + step, client, shown.buffer, { shown.row + 1, shown.column })
  else
    M.suggest(INVOKED, 1 + step)
  end
  return true
end

--- Show the next candidate.
function M.next()
  return cycle(1)
end

--- Show the candidate before.
function M.previous()
  return cycle(-1)
end

--- Tell the server where the cursor rests, so that the text there is read ahead of the first key.
function M.tell_cursor()
  local client = vim.lsp.get_clients({ bufnr = 0, name = "longllama" })[1]
  if client then
    local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
    client:notify("longllama/didMoveCursor", params)
  end
end

--- Insert the first `length` bytes of the ghost text and go on showing the rest; false if there is none, so
--- that a mapping can do what its key did before.
local function accept(length_of)
  local shown = M.shown
  if not shown then
    return false
  end
  M.clear()
  local length = length_of(shown.text)
  local is_whole = length >= #shown.text
  local part = shown.text:sub(1, length)
  local count = is_whole and #shown.replaced or partial.taken(part, shown.replaced)
  local lines = vim.split(part, "\n", { plain = true })
  local finish = shown.column + count
  vim.api.nvim_buf_set_text(shown.buffer, shown.row, shown.column, shown.row, finish, lines)
  local row = shown.row + #lines - 1
  local column = #lines == 1 and shown.column + #lines[1] or #lines[#lines]
  vim.api.nvim_win_set_cursor(0, { row + 1, column })
  tell_accepted(shown, part, is_whole)
  if not is_whole then
    local rest, replaced = shown.text:sub(length + 1), shown.replaced:sub(count + 1)
    show(shown.buffer, row, column, rest, replaced, shown.id, shown.accepted .. part)
    M.shown.number = shown.number
    accepted_at = vim.api.nvim_buf_get_changedtick(shown.buffer)
  end
  return true
end

--- Insert the ghost text.
function M.accept()
  return accept(function(text)
    return #text
  end)
end

--- Insert the first word, with what stands before it.
function M.accept_word()
  return accept(partial.word_length)
end

--- Insert the first line; its end too, where the text goes on.
function M.accept_line()
  return accept(partial.line_length)
end

--- What the server does, for the statusline: `%{v:lua.require'longllama'.statusline()}`.
function M.statusline()
  local status = M.status
  if not status then
    return ""
  end
  local files = status.files
  local snoozed = tonumber(status.snooze_minutes_left) -- JSON's null is no number
  if snoozed then
    return ("longllama snoozed %d min"):format(snoozed)
  end
  local progress = tonumber(status.progress) -- JSON's null: only an edited file is read again
  if status.phase == "indexing" and progress then
    return ("longllama %d%%"):format(100 * progress + 0.5)
  end
  if status.phase == "indexing" or status.phase == "ready" then
    return ("longllama %.0fk"):format(files.tokens / 1000)
  end
  return "longllama " .. status.phase
end

--- Have the server carry out one of its commands: `run("snooze", 15)`; what it says is shown as a message.
function M.run(name, ...)
  local client = client_of(0)
  if not client then
    vim.notify("longllama is not attached to this buffer", vim.log.levels.WARN)
    return
  end
  local params = { command = "longllama." .. name, arguments = { ... } }
  client:request("workspace/executeCommand", params, function(failure)
    if failure then
      vim.notify(failure.message, vim.log.levels.ERROR)
    end
  end, 0)
end

--- Names of the server's commands that begin with a text, without `longllama.`.
local function command_names(lead)
  local client = client_of(0)
  local names = client and vim.tbl_get(client.server_capabilities, "executeCommandProvider", "commands") or {}
  names = vim.tbl_map(function(name)
    return name:gsub("^longllama%.", "")
  end, names)
  return vim.tbl_filter(function(name)
    return vim.startswith(name, lead)
  end, names)
end

--- `:LongLLaMA snooze 15`, `:LongLLaMA showStatistics`, `:LongLLaMA toggle` and so on.
local function create_command()
  vim.api.nvim_create_user_command("LongLLaMA", function(command)
    local name = table.remove(command.fargs, 1)
    M.run(
      name,
      unpack(vim.tbl_map(function(word)
        return tonumber(word) or word
      end, command.fargs))
    )
  end, { nargs = "+", complete = command_names, desc = "Run a command of longllama-lsp" })
end

function M.setup(options)
  create_command()
  M.config = vim.tbl_deep_extend("force", M.config, options or {})
  local group = vim.api.nvim_create_augroup("longllama", { clear = true })
  vim.api.nvim_create_autocmd("FileType", {
    group = group,
    pattern = M.config.filetypes,
    callback = function(event)
      if vim.bo[event.buf].buftype == "" then
        M.start(event.buf)
      end
    end,
  })
  vim.api.nvim_create_autocmd({ "TextChangedI" }, {
    group = group,
    callback = function(event)
      if vim.api.nvim_buf_get_changedtick(event.buf) ~= accepted_at then
        M.suggest(AUTOMATIC)
      end
    end,
  })
  vim.api.nvim_create_autocmd("CursorMovedI", {
    group = group,
    callback = function()
      local cursor = vim.api.nvim_win_get_cursor(0)
      if M.shown and (cursor[1] - 1 ~= M.shown.row or cursor[2] ~= M.shown.column) then
        M.clear()
      end
    end,
  })
  local resting = assert(vim.uv.new_timer())
  vim.api.nvim_create_autocmd({ "CursorMoved", "BufEnter", "InsertEnter", "LspAttach" }, {
    group = group,
    callback = function()
      resting:start(REST_MS, 0, vim.schedule_wrap(M.tell_cursor))
    end,
  })
  vim.api.nvim_create_autocmd("InsertLeave", { group = group, callback = M.clear })
  local meanings = {
    accept = "Accept the longllama suggestion",
    accept_word = "Accept the longllama suggestion up to the next word",
    accept_line = "Accept the longllama suggestion line by line",
    next = "Show the next longllama suggestion",
    previous = "Show the longllama suggestion before",
  }
  for name, meaning in pairs(meanings) do
    local key = M.config[name]
    vim.keymap.set("i", key, function()
      if not M[name]() then
        vim.api.nvim_feedkeys(vim.keycode(key), "ni", false) -- before what was typed since
      end
    end, { desc = meaning })
  end
end

return M
