-- Accepts a part of what Neovim 0.12 shows by itself: callbacks for `on_accept` of `vim.lsp.inline_completion.get`.
--
--   vim.keymap.set("i", "<M-Right>", function()
--     return vim.lsp.inline_completion.get({ on_accept = require("longllama.partial").word }) and "" or "<M-Right>"
--   end, { expr = true })
--
-- The rest is suggested again, as the cursor has moved: the server knows it and asks the model nothing.
local M = {}

--- How many of the replaced characters are in a beginning of the suggestion, in their order.
function M.taken(part, replaced)
  local count = 0
  for index = 1, #part do
    if part:byte(index) == replaced:byte(count + 1) then
      count = count + 1
    end
  end
  return count
end

--- Bytes of the first word, and of what stands before it.
function M.word_length(text)
  return vim.fn.matchend(text, [[^\%(\k\@!\_.\)*\k*]])
end

--- Bytes of the first line; its end too, where the text goes on.
function M.line_length(text)
  return text:find("\n", 2, true) or #text
end

--- Insert the first `length` bytes of an item, in place of what they have of the text behind the cursor.
local function insert(item, length)
  local window = vim.api.nvim_get_current_win()
  local row, column = unpack(vim.api.nvim_win_get_cursor(window))
  local finish = column
  if item.range then
    _, _, _, finish = item.range:to_extmark()
  end
  local replaced = vim.api.nvim_get_current_line():sub(column + 1, math.max(column, finish))
  local part = item.insert_text:sub(1, length)
  local lines = vim.split(part, "\n", { plain = true })
  local count = M.taken(part, replaced)
  vim.api.nvim_buf_set_text(0, row - 1, column, row - 1, column + count, lines)
  local last = #lines == 1 and column + #part or #lines[#lines]
  vim.api.nvim_win_set_cursor(window, { row + #lines - 1, last })
end

--- Accept a part; an item that has no more than that, or is a snippet, is left to Neovim.
local function accept(item, length_of)
  local text = item.insert_text
  local length = type(text) == "string" and length_of(text) or 0
  if length < 1 or length >= #text then
    return item
  end
  insert(item, length)
end

--- Accept the first word, with what stands before it.
function M.word(item)
  return accept(item, M.word_length)
end

--- Accept the first line; its end too, where the text goes on.
function M.line(item)
  return accept(item, M.line_length)
end

return M
