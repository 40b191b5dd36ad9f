"""A tensor that grows along one dimension, with few copies."""

import torch
from torch import Tensor

MIN_CAPACITY = 64


class GrowingTensor:
    """Tensor with spare capacity that grows by half, so n appends copy O(n) rows, not O(n²).

    While autograd records, appending concatenates instead: autograd may have saved the tensor for a
    product, and what it saved must not change.
    """

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._storage: Tensor | None = None
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def nbytes(self) -> int:
        """Bytes, including spare capacity."""
        return 0 if self._storage is None else self._storage.nbytes

    def append(self, new: Tensor) -> Tensor:
        """Append rows; return a view of all of them."""
        length = self._length + new.shape[self._dim]
        if torch.is_grad_enabled():
            self._storage = torch.cat((self.view(), new), self._dim) if self._length else new
        else:
            storage = self._reserve(new, length)
            storage.narrow(self._dim, self._length, new.shape[self._dim]).copy_(new)
        self._length = length
        return self.view()

    def view(self) -> Tensor:
        """Return all rows; the view is valid until the next append."""
        if self._storage is None:
            raise IndexError("the tensor is empty; append to it before calling view()")
        return self._storage.narrow(self._dim, 0, self._length)

    def make_room(self, like: Tensor) -> Tensor:
        """Append as many uninitialized rows as ``like`` has.

        Returns:
            The tensor with its spare capacity, whose beginning ``view`` returns.
        """
        length = self._length + like.shape[self._dim]
        storage = self._reserve(like, length)
        self._length = length
        return storage

    def truncate(self, length: int) -> None:
        """Drop all but the first ``length`` rows; the capacity stays."""
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
