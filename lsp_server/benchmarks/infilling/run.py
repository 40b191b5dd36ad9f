"""Running the instances of one repository under one condition.

If the condition shows the repository, the workspace is the repository without the answers, taken in
before the first request. Otherwise the workspace holds only the open file. Suggestions are
requested as if the user had invoked them.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from longllama_code.errors import LongLlamaError
from lsp_server.benchmarks.datasets.instance import Instance
from lsp_server.benchmarks.infilling.rows import Row
from lsp_server.benchmarks.infilling.scores import score
from lsp_server.benchmarks.infilling.timing import Delays, time_changes
from lsp_server.benchmarks.paths import write_inside
from lsp_server.benchmarks.systems.conditions import Condition
from lsp_server.benchmarks.systems.replacement import work_through
from lsp_server.benchmarks.systems.system import Answer, Loaded, System
from lsp_server.benchmarks.workspaces.leaks import leak_in_prompt, leak_of_document, leaks
from lsp_server.benchmarks.workspaces.passages import without_answers
from lsp_server.benchmarks.workspaces.training_cutoff import UNKNOWN, TrainingData, publication
from lsp_server.benchmarks.workspaces.trees import copy_tree

NO_DELAYS = Delays(None, None)


class RepositoryRun:
    """Run of one repository's instances under one condition. Each gets a row.

    Args:
        condition: what is asked, and what it sees of the repository.
        others: all instances of the repository, whose answers are removed.
        folder: the workspace, named like the repository; it must not exist yet.
        blank: row with the fields that all rows have in common.
        record: called with each row.
        training: what is known of the model's training data.
        measures_delays: whether delays after changes are measured at the last instance.
    """

    def __init__(
        self,
        condition: Condition,
        others: Sequence[Instance],
        folder: Path,
        blank: Row,
        record: Callable[[Row], None],
        training: TrainingData = UNKNOWN,
        *,
        measures_delays: bool = False,
    ) -> None:
        self._condition, self._others, self._folder = condition, others, folder
        self._blank, self._record = replace(blank, condition=condition.name), record
        self._training, self._measures_delays = training, measures_delays

    async def run(self, todo: Sequence[Instance]) -> None:
        """Run some instances. A system that ends is replaced by another one."""
        store, last = self._condition.store, todo[-1]

        async def work(system: System, instance: Instance) -> None:
            self._record(await self._answered(system, instance, is_last=instance is last))

        try:
            self._prepare()
            with nullcontext() if store is None else store.workspace():
                await work_through(
                    self._condition, self._folder, todo, work, self._fail, self._check_store
                )
        except (OSError, ValueError, LongLlamaError) as error:
            for instance in todo:
                self._fail(instance, error)

    def _prepare(self) -> None:
        """Create the workspace.

        Raises:
            ValueError: an answer is left in it, or the data has no repository.
        """
        if not self._condition.shows_repository:
            self._folder.mkdir(parents=True)
            return
        first = self._others[0]
        source = first.files if first.tree is None else first.tree
        if source is None:
            raise ValueError(
                f"the data has no files of {first.repository!r}; use the condition 'file'."
            )
        copy_tree(source, self._folder, self._others)
        self._check_files()

    async def _answered(self, system: System, instance: Instance, *, is_last: bool) -> Row:
        """Open the document, complete at the cursor, and close it again; return the row."""
        if not self._condition.shows_repository:
            write_inside(self._folder, instance.file, without_answers(instance, self._others))
            self._check_files()
        text = instance.opened
        if leak := leak_of_document(instance, self._others, text):
            raise ValueError(str(leak))
        delays = NO_DELAYS
        loaded = await system.open(instance.file, text)
        try:
            answer = await system.complete(len(instance.before))
            if is_last and self._measures_delays:
                delays = await time_changes(system, instance, answer, self._folder)
        finally:
            await system.close()
        if leak := leak_in_prompt(instance, self._others, answer.context):
            raise ValueError(str(leak))
        return self._row(instance, loaded, answer, delays)

    def _check_files(self) -> None:
        """Raise an error if an answer is left in the workspace."""
        if found := leaks(self._folder, self._others):
            raise ValueError("; ".join(map(str, found)))

    def _check_store(self) -> None:
        """Raise an error if an answer is in what the system has stored.

        Raises:
            ValueError: one is.
            StoreError: the store cannot be read.
            ModelNotFound: its model's tokenizer is not here.
        """
        store = self._condition.store
        if store is not None and self._condition.shows_repository:
            if found := store.leaks(self._others, self._folder):
                raise ValueError("; ".join(map(str, found)))
            self._blank = replace(self._blank, store_searched=True)

    def _row(self, instance: Instance, loaded: Loaded, answer: Answer, delays: Delays) -> Row:
        scores = score(answer.text, instance.answer, instance.language)
        return replace(
            self._row_of(instance),
            suggestion=answer.text,
            right=scores.right,
            edit_similarity=scores.edit_similarity,
            identifier_match=scores.identifier_match,
            identifier_f1=scores.identifier_f1,
            confidence=answer.confidence,
            reason=answer.reason,
            stop_reason=answer.stop_reason,
            seconds=round(answer.seconds, 4),
            key_seconds=delays.after_key,
            change_seconds=delays.after_change,
            index_seconds=round(loaded.seconds, 3),
            files=loaded.files,
            tokens=loaded.tokens,
            left_out=loaded.left_out,
            prompt_tokens=answer.prompt_tokens,
            read_tokens=answer.read_tokens,
            generated_tokens=answer.generated_tokens,
            engine=loaded.engine,
        )

    def _row_of(self, instance: Instance) -> Row:
        return replace(
            self._blank,
            instance=instance.id,
            repository=instance.repository,
            language=instance.language,
            kind=instance.kind,
            published=publication(instance.since, self._training),
            wanted=instance.answer,
        )

    def _fail(self, instance: Instance, error: Exception) -> None:
        message = f"{type(error).__name__}: {error}"
        self._record(replace(self._row_of(instance), error=message))
