"""References in Tiled: one container each, with its arrays unchanged and the rest as metadata."""

from __future__ import annotations

from typing import Any

from analysis.documents.references import FOLDERS, Reference

_NOT_CONTENT = ("name", "identity", "runs")


def store_reference(root: Any, reference: Reference) -> None:
    """Write a reference into the container of its kind, unless it is already there completely."""
    folder, identity = FOLDERS[reference.kind], reference.identity
    if folder not in root:
        root.create_container(folder, metadata={"description": f"{reference.kind} under the hash of their content"})
    container = root[folder]
    if identity in container:
        if set(container[identity]) == set(reference.arrays):
            return
        container.delete_contents([identity], recursive=True, external_only=False)  # an archiver was stopped while writing it
    metadata = {"name": reference.name, "identity": identity, "runs": list(reference.runs), **reference.attributes}
    node = container.create_container(identity, metadata=metadata)
    for name, array in reference.arrays.items():
        node.write_array(array, key=name)


def stored_reference(node: Any, kind: str) -> Reference:
    """The reference that a container of Tiled holds."""
    metadata = dict(node.metadata)
    attributes = {key: value for key, value in metadata.items() if key not in _NOT_CONTENT}
    arrays = {key: node[key].read() for key in node}
    return Reference(kind, arrays, attributes, str(metadata["name"]), tuple(metadata.get("runs", ())))
