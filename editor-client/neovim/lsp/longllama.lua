---@brief
---
--- `longllama-lsp`: code completion with a small model that runs on your machine and knows the whole repository.
---
--- It is a Python program (`uv tool install longllama-code-lsp`, or `pip install` from a checkout); `longllama pull`
--- fetches its model once. `longllama-lsp diagnose` says what is missing.
---
--- Suggestions come by `textDocument/inlineCompletion`. Neovim 0.12 shows them once that is enabled:
---
--- ```lua
--- vim.lsp.enable("longllama")
--- vim.lsp.inline_completion.enable()
--- vim.keymap.set("i", "<Tab>", function()
---   return vim.lsp.inline_completion.get() and "" or "<Tab>"
--- end, { expr = true, desc = "Accept the suggestion" })
--- ```
---
--- All settings are in the section `longllama`, such as `model.path`, the model's name or file.

---@type vim.lsp.Config
return {
  cmd = { "longllama-lsp" },
  root_markers = { ".longllamaignore", ".git" },
  settings = {
    longllama = { model = { path = "auto" } },
  },
}
