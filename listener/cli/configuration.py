"""``listener check-config`` and ``listener init``: the configuration file."""

from pathlib import Path
from typing import Annotated

import typer

from listener.app import load_settings, require_work, rules_of, sources_of
from listener.cli.root import DEFAULT_CONFIG, JsonOption, app, counted, err, out, print_json
from listener.config.starter import Starter, starter
from listener.errors import ConfigError
from listener.knowledge.library import check_folder
from listener.sentiment.scorer import check_model


@app.command("check-config")
def check_config(
    file: Annotated[Path, typer.Argument(help="The configuration file.")] = DEFAULT_CONFIG, json_: JsonOption = False
) -> None:
    """Check a configuration as the daemon would; every fault comes with its place and its fix, and exit code 2."""
    try:
        settings = load_settings(file)
        require_work(settings)
        check_model(settings.scoring.model, settings.scoring.labels)
        check_folder(settings.knowledge.folder, settings.brands)
    except ConfigError as error:
        if not json_:
            raise
        faults = [{"path": fault.path, "problem": fault.problem, "fix": fault.fix} for fault in error.faults]
        print_json({"file": file, "ok": False, "faults": faults})
        raise typer.Exit(2) from None
    counts = {"brands": len(settings.brands), "sources": len(sources_of(settings)), "rules": len(rules_of(settings))}
    if json_:
        print_json({"file": file, "ok": True, "faults": [], **counts})
    else:
        found = ", ".join(counted(count, what[:-1]) for what, count in counts.items())
        out.print(f"{file}: good; {found}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def init(
    brand: Annotated[str, typer.Option(prompt="The brand's name", help="The brand to listen for.")],
    feed: Annotated[
        str,
        typer.Option(prompt="A feed to read (RSS, Atom, JSON Feed)", help="Address of a feed where it is spoken of."),
    ],
    contact: Annotated[
        str, typer.Option(prompt="Your address, for the sites' operators", help="Goes into the User-Agent.")
    ],
    model: Annotated[
        str, typer.Option(help="A model directory of your own (Hugging Face sequence classification); else listener's.")
    ] = "",
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = DEFAULT_CONFIG,
) -> None:
    """Write a first configuration for a brand of your own."""
    if output.exists():
        err.print(f"{output} is there already; take another name with --output, or move it away", highlight=False)
        raise typer.Exit(1)
    answers = Starter(brand=brand, feed=feed, model=model, contact=contact, file=output.name)
    output.write_text(starter(answers), encoding="utf-8")
    try:
        load_settings(output)
    except ConfigError:
        output.unlink()  # the faults name what to answer differently
        raise
    out.print(f"wrote {output}; try `listener poll news -c {output}`, then `listener run -c {output}`", highlight=False)
