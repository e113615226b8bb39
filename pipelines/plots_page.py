"""Write the page that `dvc plots show` fills, as `make setup` does: python pipelines/plots_page.py."""

from equipoise.runs.dvc_page import write_page

if __name__ == "__main__":
    write_page()
