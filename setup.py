"""What pyproject.toml cannot say: conf/ stands at the root here, and inside the package where it is installed."""

from setuptools import find_namespace_packages, setup

setup(
    packages=[*find_namespace_packages("src", include=["equipoise*", "hydra_plugins*"]), "equipoise.conf"],
    package_dir={"": "src", "equipoise.conf": "conf"},
    package_data={"equipoise": ["py.typed", "*.pyi", "reports/templates/*"], "equipoise.conf": ["*.yaml", "**/*.yaml"]},
    include_package_data=False,
)
