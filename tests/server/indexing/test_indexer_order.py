"""The indexer: files near the open ones come first, and stay where not all of them can."""

from lsp_server.indexing.file_table import Urgency


async def test_what_open_files_import_comes_first_then_their_folder(bench):
    for name in ("a/one.py", "b/two.py", "b/sub/three.py", "c/four.py", "d/far.py"):
        bench.write(name)
    here = bench.write("b/here.py", "import d.far\n")
    bench.engine.ready = False
    bench.start()
    await bench.until(lambda: bench.indexer.files.totals().waiting == 6)
    bench.open[here] = "import d.far\n"
    bench.indexer.changed([here], Urgency.OPEN)
    bench.engine.ready = True
    await bench.idle()
    first, imported, same, below, *rest = bench.engine.asked
    assert (first, imported, same, below) == ("b/here.py", "d/far.py", "b/two.py", "b/sub/three.py")
    assert rest == ["a/one.py", "c/four.py"]


async def test_memory_follows_the_user_where_it_cannot_hold_all(bench):
    texts = {name: "x" * 60 for name in ("a/1.py", "a/2.py", "b/1.py", "b/2.py")}
    paths = {name: bench.write(name, text) for name, text in texts.items()}
    bench.start(maxTokens=60)  # 20 tokens each, it is guessed, and 60 found
    await bench.idle()
    assert bench.engine.texts.keys() == {"a/1.py"}

    async def look_at(*names):
        bench.open.clear()
        bench.open.update({paths[name]: texts[name] for name in names})
        bench.indexer.changed([paths[name] for name in names], Urgency.OPEN)
        await bench.idle()

    await look_at("b/2.py")
    assert bench.engine.texts.keys() == {"b/2.py"}
    bench.engine.asked.clear()
    # Nothing is asked for again where nobody moves.
    bench.indexer.changed([paths["b/2.py"]], Urgency.OPEN)
    bench.indexer.rescan()
    await bench.idle()
    assert bench.engine.asked == ["b/2.py"]
    await look_at("a/2.py")
    assert "a/2.py" in bench.engine.texts
    assert len(bench.engine.texts) == 1


async def test_room_goes_to_the_nearest_of_those_left_out(bench):
    for name in ("a.py", "far/b.py", "near/c.py"):
        bench.write(name, "x" * 60)
    here = bench.write("near/here.py", "x" * 60)
    bench.open[here] = "x" * 60
    bench.start(maxTokens=120)
    await bench.idle()
    assert bench.engine.texts.keys() == {"near/here.py", "near/c.py"}
    (bench.root / "near" / "c.py").unlink()
    bench.indexer.changed([bench.root / "near" / "c.py"])
    await bench.idle()
    assert bench.engine.texts.keys() == {"near/here.py", "a.py"}
    assert bench.states()["far/b.py"] == "budget"
