import pytest


@pytest.fixture
def write(tmp_path):
    def write_list(content: str | bytes, name: str = "names.csv") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write_list
