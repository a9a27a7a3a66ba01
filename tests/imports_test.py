"""The architecture, read from the sources: who imports whom, and what `BUILD` says of it."""

import ast
import glob
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
# Each folder may import those before it, and itself.
ALLOWED = {
    "layers": {"layers"},
    "models": {"layers", "models"},
    "pipelines": {"glimpse", "models", "layers", "pipelines"},
    "exports": {"glimpse", "models", "layers", "exports"},
}


def imported_names(path):
    """Full names of all modules that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module)
            if node.module == "glimpse":
                names.update(f"glimpse.{alias.name}" for alias in node.names)
    return names


def folders_of(names):
    """The project's folders among imported names; `glimpse` itself for its own modules."""
    folders = set()
    for name in names:
        head, _, rest = name.partition(".")
        if head == "glimpse":
            folder = rest.partition(".")[0]
            folders.add(folder if folder in ALLOWED else "glimpse")
    return folders


def files(folder):
    nested = [] if folder == "glimpse" else sorted((ROOT / folder).glob("*/*.py"))
    return sorted((ROOT / folder).glob("*.py")) + nested


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_go_one_way(folder):
    assert files(folder)
    for path in files(folder):
        forbidden = folders_of(imported_names(path)) - ALLOWED[folder]
        assert not forbidden, f"{path.relative_to(ROOT)} imports {forbidden}"


@pytest.mark.parametrize("folder", ["layers", "models"])
def test_layers_and_models_know_no_single_backend(folder):
    for path in files(folder):
        heads = {name.partition(".")[0] for name in imported_names(path)}
        assert not heads & {"tensorflow", "tf_keras", "jax", "torch", "cv2", "absl"}, path


def test_nothing_installed_imports_the_addons():
    """tensorflow-addons cannot be imported beside this TensorFlow; see `make test-addons`."""
    for folder in (*ALLOWED, "glimpse", "glimpse/commands"):
        for path in files(folder):
            heads = {name.partition(".")[0] for name in imported_names(path)}
            assert "tensorflow_addons" not in heads, path


def test_pipelines_and_exports_use_only_the_version_of_the_face():
    """`glimpse` itself may be imported for its version and place, not for the command line."""
    for folder in ("pipelines", "exports"):
        for path in files(folder):
            for name in imported_names(path):
                assert name != "glimpse_command", path
                assert not name.startswith(("glimpse.commands", "glimpse.demonstration")), path


def test_one_public_class_a_file_named_like_it():
    for folder in ("layers", "models"):
        for path in files(folder):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            classes = [n.name for n in tree.body if isinstance(n, ast.ClassDef)]
            public = [name for name in classes if not name.startswith("_")]
            assert len(public) <= 1, f"{path.name} holds {public}"
            if public:
                assert public[0].lower() == path.stem.replace("_", ""), f"{path.name}: {public}"


def test_no_file_is_longer_than_350_lines():
    for folder in (*ALLOWED, "glimpse", "glimpse/commands", "benchmarks"):
        for path in files(folder):
            length = len(path.read_text(encoding="utf-8").splitlines())
            assert length <= 350, f"{path.relative_to(ROOT)}: {length} lines"


def read_build():
    """The targets of `BUILD` by name; Starlark of this file's kind is Python as well."""
    targets = {}

    def target(kind):
        def define(name, srcs=(), deps=(), **_):
            assert name not in targets, f"two targets are called {name}"
            targets[name] = {"kind": kind, "srcs": list(srcs), "deps": set(deps)}

        return define

    def glob_files(patterns, exclude=()):
        left_out = {path for pattern in exclude for path in glob.glob(pattern, root_dir=ROOT)}
        found = {path for pattern in patterns for path in glob.glob(pattern, root_dir=ROOT)}
        return sorted(found - left_out)

    scope = {kind: target(kind) for kind in ("py_library", "py_binary", "py_test")}
    scope |= {"glob": glob_files, "load": lambda *_: None, "package": lambda **_: None}
    exec(compile((ROOT / "BUILD").read_text(), "BUILD", "exec"), scope)
    return targets


def tracked_python_files():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout, so the list of source files is unknown")
    return {path for path in listed.stdout.splitlines() if (ROOT / path).exists()}


def test_every_file_is_in_exactly_one_build_target():
    owners = {}
    for name, target in read_build().items():
        for path in target["srcs"]:
            assert path not in owners, f"{path} is in {owners[path]} and {name}"
            owners[path] = name
    missing = {p for p in tracked_python_files() if not p.startswith("examples/")} - set(owners)
    assert not missing, f"in no BUILD target: {sorted(missing)}"


def test_build_deps_are_the_imports():
    targets = read_build()
    owners = {path: name for name, target in targets.items() for path in target["srcs"]}
    modules = {path: path.removesuffix(".py").replace("/", ".") for path in owners}
    by_module = {}
    for path, module in modules.items():
        module = module.removesuffix(".__init__")
        top = module.partition(".")[0]
        by_module[f"glimpse.{module}" if top in ALLOWED else module] = owners[path]
    for name, target in targets.items():
        if target["kind"] == "py_test":
            continue
        used = set()
        for path in target["srcs"]:
            for imported in imported_names(ROOT / path):
                owner = by_module.get(imported) or by_module.get(imported.rpartition(".")[0])
                used.add(owner)
        # The face loads these two when asked, by name.
        used |= {"exports", "pipelines"} if name == "glimpse" else set()
        used -= {None, name}
        # Every module lies under `glimpse`, whose target already depends on the folders.
        declared = {dep.lstrip(":") for dep in target["deps"]}
        if name in ALLOWED:
            used.discard("glimpse")
            assert declared == used - {"layers"} | ({"layers"} & declared), (name, declared, used)
        assert used <= declared | {"layers"}, f"{name} imports {used - declared} without a dep"


def test_import_is_light():
    code = (
        "import sys, glimpse\n"
        "heavy = [m for m in ('glimpse.pipelines', 'glimpse.exports', 'glimpse.demonstration')"
        " if m in sys.modules]\n"
        "assert not heavy, heavy\n"
        "assert glimpse.pipelines.combine_blocks and glimpse.exports\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
