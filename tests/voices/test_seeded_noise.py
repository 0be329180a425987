import numpy as np
import pytest

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402

from drugasr.errors import VoiceError  # noqa: E402
from drugasr.voices.seeded_noise import SeededSession, replace_random_nodes  # noqa: E402

NORMAL = helper.make_node("RandomNormalLike", ["x"], ["normal"], mean=3.0, scale=2.0, dtype=TensorProto.FLOAT)
UNIFORM = helper.make_node("RandomUniformLike", ["x"], ["uniform"], low=-1.0, high=4.0)
STATIC = helper.make_node("RandomNormal", [], ["normal"], name="/rand", shape=[2])
DOUBLED = helper.make_node("Add", ["x", "x"], ["doubled"])


def model_of(*nodes):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", "columns"])
    outputs = [helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, None) for node in nodes]
    return helper.make_model(helper.make_graph(nodes, "tiny", [x], outputs), opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


@pytest.fixture
def session_of(tmp_path):
    def build(*nodes):
        onnx.save(model_of(*nodes), tmp_path / "tiny.onnx")
        return SeededSession(tmp_path / "tiny.onnx")

    return build


def drawn(session, seed, shape=(200, 300)):
    session.reseed(seed)
    return session.run(None, {"x": np.zeros(shape, np.float32)})


def test_the_seed_alone_decides_the_numbers(session_of):
    session = session_of(NORMAL, UNIFORM)
    first = drawn(session, 1)
    others = [drawn(session, 2), session.run(None, {"x": np.zeros((5, 7), np.float32)})]
    again, elsewhere = drawn(session, 1), drawn(session_of(NORMAL, UNIFORM), 1)
    for i in range(2):
        assert first[i].tobytes() == again[i].tobytes() == elsewhere[i].tobytes()
        assert first[i].tobytes() != others[0][i].tobytes()
    assert others[1][0].shape == (5, 7)


def test_the_numbers_are_drawn_as_the_nodes_say(session_of):
    normal, uniform = drawn(session_of(NORMAL, UNIFORM), 1)
    assert normal.dtype == np.float32
    assert (normal.mean(), normal.std()) == (pytest.approx(3, abs=0.05), pytest.approx(2, abs=0.05))
    assert (uniform.min(), uniform.max(), uniform.mean()) == pytest.approx((-1, 4, 1.5), abs=0.05)
    assert abs(np.corrcoef(normal.ravel(), uniform.ravel())[0, 1]) < 0.02


def test_later_runs_of_a_seed_draw_on(session_of):
    session = session_of(NORMAL)
    first = drawn(session, 1)[0]
    assert session.run(None, {"x": np.zeros((200, 300), np.float32)})[0].tobytes() != first.tobytes()


def test_more_numbers_than_there_is_noise_repeat_it(session_of):
    flat = drawn(session_of(NORMAL), 1, (3, 50_000))[0].ravel()
    assert flat[: 2**16].tobytes() == flat[2**16 : 2**17].tobytes()


def test_a_model_that_draws_nothing_stays_as_it_is(session_of):
    model = model_of(DOUBLED)
    before = model.SerializeToString()
    assert replace_random_nodes(model) == []
    assert model.SerializeToString() == before
    session = session_of(DOUBLED)
    assert [i.name for i in session.get_inputs()] == ["x"]
    assert session.run(None, {"x": np.ones((1, 2), np.float32)})[0].tolist() == [[2, 2]]


def test_draws_that_no_seed_reaches_are_refused(session_of):
    with pytest.raises(VoiceError, match=r"tiny\.onnx.*'/rand'.*RandomNormal"):
        session_of(STATIC)
    branch = helper.make_graph([NORMAL], "branch", [], [helper.make_tensor_value_info("normal", TensorProto.FLOAT, None)])
    always = helper.make_node("Constant", [], ["always"], value=helper.make_tensor("t", TensorProto.BOOL, [], [True]))
    with pytest.raises(ValueError, match="RandomNormalLike"):
        replace_random_nodes(model_of(always, helper.make_node("If", ["always"], ["y"], then_branch=branch, else_branch=branch)))


@pytest.mark.parametrize("content", [b"", b"<html>404</html>"])
def test_a_file_that_is_no_model_is_refused(tmp_path, content, capfd):
    (tmp_path / "voice.onnx").write_bytes(content)
    with pytest.raises(VoiceError, match=r"voice\.onnx.*downloaded whole"):
        SeededSession(tmp_path / "voice.onnx")
    assert capfd.readouterr().out == ""
