//! Who opens the service page comes from the display's process into the audit trail of the box.

use crate::box_process::{Home, model};
use scanside::config::Config;
use scanside::screen::door::Knock;
use scanside::screen::told::Told;

#[test]
fn serve_enters_what_the_display_tells_of_its_door() {
    let home = Home::new(&model(), "");
    let file = Config::load(&home.settings()).unwrap().door_file();
    assert!(
        !file.starts_with(home.state().join("run")),
        "a folder of its own"
    );
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let _running = home.start();
    let mut told = Told::default();
    told.add(Knock::WrongPin, 5);
    told.add(Knock::Pin, 6);
    told.write(&file).unwrap();
    let logins = "SELECT count(*) FROM audit WHERE event='login' AND who='screen'";
    home.wait("both are in the trail", || {
        (home.count(logins) == 2).then_some(())
    });
    told.add(Knock::Button, 7);
    told.write(&file).unwrap();
    home.wait("the third one is", || {
        (home.count(logins) == 3).then_some(())
    });
    assert_eq!(
        home.count("SELECT count(*) FROM audit WHERE event='login' AND what LIKE 'refused%'"),
        1
    );
}
