//! A new first name, in what is in memory.

use entity::{RoomId, member, user};
use sea_orm::QuerySelect;

use crate::{chat::Core, error::Result, identity::Person};

impl Core {
    /// Changes a user's first name in the rooms and connections that are in memory.
    pub(in crate::chat) async fn rename(&self, user: &user::Model) -> Result<()> {
        let person = Person::new(user.username.clone(), user.first_name.clone());
        for connection in self.hub.of_user(user.id) {
            connection.rename(person.first_name.clone());
        }
        let rooms: Vec<RoomId> = member::of_user(user.id)
            .select_only()
            .column(member::Column::RoomId)
            .into_tuple()
            .all(self.db.reader())
            .await?;
        for live in rooms.into_iter().filter_map(|room| self.rooms.resident(room)) {
            live.rename(user.id, &person);
        }
        Ok(())
    }
}
