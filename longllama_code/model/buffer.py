"""A tensor that grows along one dimension without copying itself at every step."""

import torch
from torch import Tensor

MIN_CAPACITY = 64


class GrowingTensor:
    """Rows are appended into spare capacity that doubles, so n appends copy O(n), not O(n²).

    While autograd records, appending concatenates instead: even where these rows need no gradient,
    a product with them may have been saved, and must not change.
    """

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._storage: Tensor | None = None
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def nbytes(self) -> int:
        """Bytes held, spare capacity included."""
        return 0 if self._storage is None else self._storage.nbytes

    def append(self, new: Tensor) -> Tensor:
        """Append and return a view of everything."""
        length = self._length + new.shape[self._dim]
        if torch.is_grad_enabled():
            self._storage = torch.cat((self.view(), new), self._dim) if self._length else new
        else:
            storage = self._reserve(new, length)
            storage.narrow(self._dim, self._length, new.shape[self._dim]).copy_(new)
        self._length = length
        return self.view()

    def view(self) -> Tensor:
        """Everything appended so far; valid until the next append."""
        if self._storage is None:
            raise IndexError("nothing was appended yet")
        return self._storage.narrow(self._dim, 0, self._length)

    def make_room(self, like: Tensor) -> Tensor:
        """Append rows that are yet to be written, as many as ``like`` has.

        Returns:
            What ``view`` shows the beginning of: the tensor with its spare capacity.
        """
        length = self._length + like.shape[self._dim]
        storage = self._reserve(like, length)
        self._length = length
        return storage

    def truncate(self, length: int) -> None:
        """Forget all but the first ``length`` rows; the capacity stays."""
        self._length = min(self._length, length)

    def select(self, rows: Tensor) -> None:
        """Keep the entries ``rows`` of the first dimension."""
        if self._storage is not None:
            self._storage = self.view().index_select(0, rows.to(self._storage.device))

    def _reserve(self, new: Tensor, length: int) -> Tensor:
        storage = self._storage
        if storage is not None and storage.shape[self._dim] >= length:
            return storage
        shape = list(new.shape)
        shape[self._dim] = max(MIN_CAPACITY, length + length // 2)
        grown = new.new_empty(shape)
        if storage is not None:
            grown.narrow(self._dim, 0, self._length).copy_(self.view())
        self._storage = grown
        return grown
