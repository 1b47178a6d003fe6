"""A small Earth: cities in which people live and shops stand, and distances between them.

Two countries, `XA` and `XB`, are invented (ISO 3166 leaves these codes to users). They stand for what a bank calls a
high-risk country, so that no real one is marked as such; nobody lives there, few travel there, fraudsters like it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EARTH_RADIUS_KM = 6371.0088
HIGH_RISK_COUNTRIES = frozenset({"XA", "XB"})

# country, latitude, longitude in degrees, weight of the city as a home
CITIES: tuple[tuple[str, float, float, float], ...] = (
    ("GB", 51.51, -0.13, 9.0),
    ("GB", 53.48, -2.24, 3.0),
    ("GB", 55.86, -4.25, 1.5),
    ("FR", 48.86, 2.35, 7.0),
    ("FR", 45.76, 4.84, 2.0),
    ("FR", 43.30, 5.37, 2.0),
    ("DE", 52.52, 13.40, 4.0),
    ("DE", 48.14, 11.58, 3.0),
    ("DE", 53.55, 9.99, 3.0),
    ("DE", 50.94, 6.96, 2.0),
    ("ES", 40.42, -3.70, 4.0),
    ("ES", 41.39, 2.17, 3.5),
    ("IT", 41.90, 12.50, 3.5),
    ("IT", 45.46, 9.19, 3.0),
    ("NL", 52.37, 4.90, 2.5),
    ("BE", 50.85, 4.35, 2.0),
    ("PT", 38.72, -9.14, 1.5),
    ("PL", 52.23, 21.01, 2.5),
    ("SE", 59.33, 18.07, 1.5),
    ("AT", 48.21, 16.37, 1.5),
    ("GR", 37.98, 23.73, 1.0),
    ("US", 40.71, -74.01, 3.0),
    ("US", 34.05, -118.24, 2.0),
    ("US", 41.88, -87.63, 1.0),
    ("CA", 43.65, -79.38, 1.0),
    ("BR", -23.55, -46.63, 1.0),
    ("ZA", -26.20, 28.05, 0.5),
    ("IN", 19.08, 72.88, 1.0),
    ("SG", 1.35, 103.82, 0.7),
    ("JP", 35.68, 139.69, 0.8),
    ("AU", -33.87, 151.21, 0.7),
    ("XA", 12.00, 65.00, 0.0),
    ("XB", -5.00, -25.00, 0.0),
)

COUNTRIES: tuple[str, ...] = tuple(sorted({city[0] for city in CITIES}))
CITY_COUNTRY = np.array([COUNTRIES.index(city[0]) for city in CITIES], dtype=np.int8)
CITY_LAT = np.array([city[1] for city in CITIES])
CITY_LON = np.array([city[2] for city in CITIES])
CITY_WEIGHT = np.array([city[3] for city in CITIES])
HOME_SHARE = CITY_WEIGHT / CITY_WEIGHT.sum()
RISKY_CITIES = np.array([i for i, city in enumerate(CITIES) if city[0] in HIGH_RISK_COUNTRIES])


def distance_km(
    lat1: NDArray[np.float64], lon1: NDArray[np.float64], lat2: NDArray[np.float64], lon2: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Great-circle distance in kilometres by the haversine formula; arguments in degrees, broadcast together.

    >>> float(distance_km(np.array(51.51), np.array(-0.13), np.array(48.86), np.array(2.35)).round())
    343.0
    """
    phi1, phi2 = np.radians(lat1), np.radians(lat2)
    step = np.sin((phi2 - phi1) / 2) ** 2
    turn = np.sin(np.radians(lon2 - lon1) / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(step + np.cos(phi1) * np.cos(phi2) * turn)))


CITY_DISTANCE_KM = distance_km(CITY_LAT[:, None], CITY_LON[:, None], CITY_LAT[None, :], CITY_LON[None, :])
"""float64[cities, cities]."""
