"""HTTP as llama.cpp's server and OpenAI speak it, answered from a session of the language server.

Needs the extra ``http``; nothing else imports this folder before HTTP is asked for.
"""
