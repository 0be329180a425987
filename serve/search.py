"""Looking names up in the list that is served."""

from typing import Any

from drugasr.lexicon.drug import Lexicon


def search(lexicon: Lexicon, query: str, limit: int) -> dict[str, Any]:
    """The drugs whose name or generic holds `query`, at most `limit`; those that begin with it come first."""
    wanted = query.strip().casefold()
    found = [drug for drug in lexicon.drugs if wanted in f"{drug.name}\n{drug.generic}".casefold()]
    found.sort(key=lambda drug: not drug.name.casefold().startswith(wanted))
    drugs = [{"id": d.id, "name": d.name, "kind": d.kind or None, "generic": d.generic or None} for d in found[:limit]]
    return {"lexicon": lexicon.name, "total": len(lexicon), "found": len(found), "drugs": drugs}
